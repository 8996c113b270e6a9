"""What the sandbox costs: start-up, steps, calls, large contexts, many workers.

Covers: the `local` backend through the public interface, wall-clock time as its caller sees it. Memory is the kernel's proportional set
size (shared pages divided by their users). Does not cover: other backends, the model's side (`perf.engine`).
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from longreach import event_loop
from longreach.context import Context
from longreach.sandbox import Calls, Limits, Sandbox
from longreach.sandbox.factory import open_sandbox
from perf.figures import Spec
from perf.measuring import Measurement, run_one

__all__ = ["MEASUREMENTS"]

LINE = "The quick brown fox jumps over the lazy dog and runs on.\n"
TIMES = 10  # of each short action in one process


async def answer(parameters: Mapping[str, Any]) -> Any:
    return "an answer"


async def slow_answers(parameters: Mapping[str, Any]) -> Any:
    async def one(prompt: str) -> dict[str, Any]:
        await asyncio.sleep(0.1)
        return {"ok": True, "value": prompt}

    return await asyncio.gather(*[one(prompt) for prompt in parameters["prompts"]])


CALLS: Calls = {"llm_query": answer, "llm_query_batched": slow_answers}


async def started(context: Context) -> Sandbox:
    sandbox = open_sandbox()
    await sandbox.start(context, CALLS, Limits())
    return sandbox


async def median_ms(times: int, action: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds that the action takes."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def workers() -> list[int]:
    """Process ids of the workers: children of this process's fork server."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended meanwhile
                continue
    servers = {pid for pid, parent in parents.items() if parent == os.getpid()}
    return [pid for pid, parent in parents.items() if parent in servers]


def megabytes(pid: int, field: str) -> float:
    """A field of the kernel's summary of a process's memory."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)


async def start_up() -> Mapping[str, float]:
    """The first worker of a process, which starts the fork server, and the ones after it."""
    context = Context.from_text("x")
    began = time.perf_counter()
    first = await started(context)
    cold = (time.perf_counter() - began) * 1000
    await first.close()
    opened = []

    async def start() -> None:
        opened.append(await started(context))

    warm = await median_ms(TIMES, start)
    for sandbox in opened:
        await sandbox.close()
    return {"worker-first": cold, "worker": warm}


async def steps_and_calls() -> Mapping[str, float]:
    """Short things in one worker."""
    sandbox = await started(Context.from_text("x"))
    await sandbox.run("pass", 10)
    step = await median_ms(TIMES * 10, lambda: sandbox.run("pass", 10))
    code = "import time\nt = time.perf_counter()\nfor _ in range(200): llm_query('x')\nprint((time.perf_counter() - t) * 5)"
    trips = [float((await sandbox.run(code, 30)).output) for _ in range(TIMES)]
    batch = await median_ms(TIMES, lambda: sandbox.run("r = llm_query_batched(['x'] * 200)", 30))
    await sandbox.close()
    return {"sandbox-step": step, "round-trip": statistics.median(trips), "sandbox-batch": batch}


async def large_context(size: int, name: str) -> Mapping[str, float]:
    """Seconds until a worker has it, and megabytes more in that worker than in one with a small context."""
    small = await started(Context.from_text("x"))
    context = Context.from_text(LINE * (size // len(LINE)))
    began = time.perf_counter()
    sandbox = await started(context)
    ready = time.perf_counter() - began
    pids = sorted(workers())
    before = megabytes(pids[0], "Private_Dirty") + megabytes(pids[0], "Private_Clean")
    after = megabytes(pids[1], "Private_Dirty") + megabytes(pids[1], "Private_Clean")
    assert (await sandbox.run("len(context), context.count('fox')", 60)).error is None
    await sandbox.close()
    await small.close()
    return {name: ready, f"{name}-memory": after - before}


async def many_workers() -> Mapping[str, float]:
    """Twenty on one context, each having read all of it."""
    context = Context.from_text(LINE * (100_000_000 // len(LINE)))
    began = time.perf_counter()
    sandboxes = await asyncio.gather(*[started(context) for _ in range(20)])
    ready = time.perf_counter() - began
    await asyncio.gather(*[sandbox.run("context.count('fox')", 60) for sandbox in sandboxes])
    together = sum(megabytes(pid, "Pss") for pid in workers())
    await asyncio.gather(*[sandbox.close() for sandbox in sandboxes])
    return {"workers-20": ready, "workers-20-memory": together}


def run(measuring: Callable[[], Coroutine[Any, Any, Mapping[str, float]]]) -> Mapping[str, float]:
    """On a loop of its own."""
    return event_loop.run(measuring())


MEASUREMENTS = (
    Measurement(
        "worker",
        partial(run, start_up),
        (
            Spec("worker-first", "first worker, with the fork server", "ms"),
            Spec("worker", "a worker from the fork server", "ms", most=50),
        ),
    ),
    Measurement(
        "sandbox-step",
        partial(run, steps_and_calls),
        (
            Spec("sandbox-step", "sandbox: a step that does nothing", "ms", most=1),
            Spec("round-trip", "sandbox: llm_query round trip", "ms", most=0.4),
            Spec("sandbox-batch", "sandbox: 200 batched calls of 100 ms", "ms", floor=100, most=150),
        ),
    ),
    Measurement(
        "worker-100mb",
        partial(run, partial(large_context, 100_000_000, "worker-100mb")),
        (
            Spec("worker-100mb", "sandbox: 100 MB context, ready", "s", most=0.6),
            Spec("worker-100mb-memory", "its memory, more in the worker", "MB", most=30),
        ),
    ),
    Measurement(
        "worker-1gb",
        partial(run, partial(large_context, 1_000_000_000, "worker-1gb")),
        (
            Spec("worker-1gb", "sandbox: 1 GB context, ready", "s", most=5),
            Spec("worker-1gb-memory", "its memory, more in the worker", "MB"),
        ),
    ),
    Measurement(
        "workers-20",
        partial(run, many_workers),
        (
            Spec("workers-20", "20 workers on one 100 MB context, ready", "s"),
            Spec("workers-20-memory", "their memory together", "MB", most=300),
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(run_one(MEASUREMENTS, sys.argv[1:]))
