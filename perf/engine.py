"""What the engine costs: sub-calls, child runs, steps, a large context, a thousand runs at once.

Covers: whole runs through the public interface, sandbox, journal and budget as they come, against a model server in a process of its own
that replies over HTTP on loopback. Does not cover: the sandbox alone (`perf.sandbox`), peers (`perf.peers`).

Every process makes a short run first, which loads what is loaded late and starts the fork server: 'first-run' is its time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import aiohttp

from longreach import event_loop
from longreach.api import answer_query
from longreach.context import Context
from longreach.runs import Record
from longreach.runs.events import CallStarted
from perf.figures import Spec
from perf.jobs import CALLS, JOBS, LARGE, LATENCY, LINE, QUICK_CALLS, run_job, script_of
from perf.measuring import Measurement, run_one
from perf.memory import peak, together
from perf.peers import ours
from perf.serving import serving

__all__ = ["MEASUREMENTS"]

CONCURRENCY = 16
FLOOR = -(-CALLS // CONCURRENCY) * LATENCY
CONCURRENT_RUNS = 1_000
CONCURRENT_LATENCY = 0.2
IDLE_RUNS = 100


def shared(name: str) -> Mapping[str, float]:
    """One of the jobs that peers do too."""
    with serving(script_of(JOBS[name], ours.DIALECT)) as server:
        return run_job(JOBS[name], ours, server.base_url)


def sub_calls(name: str, concurrency: int) -> Mapping[str, float]:
    """Milliseconds a sub-call, and what a bare HTTP client takes for the same requests at the same concurrency."""
    with serving(script_of(JOBS[name], ours.DIALECT)) as server:
        bare = event_loop.run(bare_calls(server.base_url, concurrency))
        return {**run_job(JOBS[name], ours, server.base_url), "bare": bare}


async def bare_calls(base_url: str, concurrency: int) -> float:
    """Milliseconds a call with aiohttp alone: post, read, nothing else."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker(numbers: range) -> None:
            for number in numbers:
                body = {"model": "perf", "messages": [{"role": "user", "content": f"question {number}"}]}
                async with session.post(f"{base_url}/chat/completions", json=body) as response:
                    await response.read()

        await worker(range(20))
        began = time.perf_counter()
        await asyncio.gather(*[worker(range(start, QUICK_CALLS, concurrency)) for start in range(concurrency)])
        return (time.perf_counter() - began) / QUICK_CALLS * 1000


def large_context_memory() -> Mapping[str, float]:
    """The peak of all processes' memory beyond the text, over a run on 100 MB in a process of its own."""
    with serving(script_of(JOBS["memory"], ours.DIALECT)) as server:
        command = [sys.executable, "-m", "perf.peers.run", "ours", "memory", server.base_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            most = peak(process)
    if process.returncode:
        raise RuntimeError(f"the run ended with {process.returncode}")
    return {"context-100mb-memory": most - LARGE / 1e6}


def concurrent_runs() -> Mapping[str, float]:
    """All at once on one loop; how many failed, and the time of all."""
    reply = ours.DIALECT.reply(f"len(context)\nresult = 'done'\n{ours.DIALECT.submit}")
    with serving({"rules": [{"role": "root", "text": reply, "latency": CONCURRENT_LATENCY}]}) as server:

        async def run_all() -> tuple[float, int]:
            await ours.answer(LINE, server.base_url)
            began = time.perf_counter()
            runs = [ours.answer(f"{LINE}{number}", server.base_url) for number in range(CONCURRENT_RUNS)]
            answers = await asyncio.gather(*runs, return_exceptions=True)
            failures = [answer for answer in answers if answer != "done"]
            for failure in failures[:3]:
                print(repr(failure), file=sys.stderr)
            return time.perf_counter() - began, len(failures)

        seconds, failed = event_loop.run(run_all())
    return {"concurrent-1000": seconds, "concurrent-1000-failed": float(failed)}


def idle_runs() -> Mapping[str, float]:
    """Megabytes for each of many runs that all wait for a sub-call."""
    reply = ours.DIALECT.reply("len(context)\nllm_query('wait')")
    rules = [{"role": "sub", "text": "ok", "latency": 300.0}, {"role": "root", "text": reply}]
    with serving({"rules": rules}) as server:
        return {"idle-run-memory": event_loop.run(_memory_of_idle_runs(server.base_url, server.pid))}


async def _memory_of_idle_runs(base_url: str, server: int) -> float:
    waiting = 0
    one_waits, all_wait = asyncio.Event(), asyncio.Event()

    def count(record: Record) -> None:
        nonlocal waiting
        if isinstance(record.event, CallStarted) and record.event.purpose == "sub":
            waiting += 1
            one_waits.set()
            if waiting > IDLE_RUNS:
                all_wait.set()

    def start(number: int) -> asyncio.Task[object]:
        context = Context.from_text(f"{LINE}{number}")
        return asyncio.create_task(answer_query("What?", context, replace(ours.options(base_url), listener=count)))

    runs = [start(0)]
    await one_waits.wait()
    before = together(os.getpid(), leave_out=(server,))
    runs += [start(number) for number in range(1, IDLE_RUNS + 1)]
    await all_wait.wait()
    each = (together(os.getpid(), leave_out=(server,)) - before) / IDLE_RUNS
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    return each


MEASUREMENTS = (
    Measurement(
        "looped",
        partial(shared, "looped"),
        (
            Spec("looped-200", "200 looped sub-calls of 50 ms", "s", floor=FLOOR, most=1.3 * FLOOR),
            Spec("looped-200-run", "the whole run around them", "s", floor=FLOOR),
        ),
    ),
    Measurement(
        "batched",
        partial(shared, "batched"),
        (
            Spec("batched-200", "200 batched sub-calls of 50 ms", "s", floor=FLOOR, most=1.15 * FLOOR),
            Spec("batched-200-run", "the whole run around them", "s", floor=FLOOR),
            Spec("first-run", "first run of a process, one step", "s"),
        ),
    ),
    Measurement(
        "sub-call",
        partial(sub_calls, "sub-call", 1),
        (Spec("sub-call", "a looped sub-call of 0 ms", "ms", floor_from="bare", most=0.5),),
    ),
    Measurement(
        "sub-call-batched",
        partial(sub_calls, "sub-call-batched", CONCURRENCY),
        (Spec("sub-call-batched", "a batched sub-call of 0 ms", "ms", floor_from="bare", most=0.5),),
    ),
    Measurement("child", partial(shared, "child"), (Spec("child", "a child run of one step", "ms", most=60),)),
    Measurement(
        "steps",
        partial(shared, "steps"),
        (
            Spec("step-1", "a step that does nothing, at step 1", "ms", most=3),
            Spec("step-200", "a step that does nothing, at step 200", "ms", most=3),
        ),
    ),
    Measurement(
        "context-100mb",
        partial(shared, "context"),
        (Spec("context-100mb", "100 MB of text to the first root call", "s", most=0.5),),
    ),
    Measurement(
        "context-100mb-memory",
        large_context_memory,
        (Spec("context-100mb-memory", "its memory beyond the text, all processes", "MB", most=150),),
    ),
    Measurement(
        "concurrent",
        concurrent_runs,
        (
            Spec("concurrent-1000", "1,000 runs at once, server of 200 ms", "s", floor=CONCURRENT_LATENCY),
            Spec("concurrent-1000-failed", "failed ones among them", "runs", most=0),
        ),
        times=1,
    ),
    Measurement("idle", idle_runs, (Spec("idle-run-memory", "memory of an idle run, all processes", "MB", most=25),)),
)

if __name__ == "__main__":
    sys.exit(run_one(MEASUREMENTS, sys.argv[1:]))
