"""`longreach serve` under load: streaming chat completions at once against a model that takes 200 ms a call.

Covers: errors, what the server adds to the model's time, requests a second, CPU time of server, model and clients a request, how evenly the
server's processes share it, memory over the run. The server, the model and the clients are processes of one machine. `python -m perf serve
serve_rate serve_paced` measures what is published; `python -m perf.serve --clients 50 --seconds 10` tries something. Does not cover: real
models, networks.

200 clients without a pause ask as fast as they are answered: that measures how many requests a second the machine can do, and how long they
wait for their turn once it can do no more. What the server adds where it is not overloaded is what requests at a fixed rate see.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from longreach import event_loop
from perf.figures import Spec
from perf.load import Load, ask_at_rate, ask_in_turn, request_bytes
from perf.measuring import Measurement, machine, run_one

__all__ = ["MEASUREMENTS", "main"]

MODEL_SECONDS = 0.2
CALLS = {"direct": 1, "rlm": 2}
MOST_MS = 100.0


@dataclass(frozen=True, slots=True)
class Plan:
    """clients: at once, each with `pause` seconds between its requests. rate: requests a second in the place of clients. processes: of the
    server.
    """

    strategy: str = "direct"
    clients: int = 200
    pause: float = 0.0
    rate: float = 0.0
    seconds: float = 60.0
    processes: int = 1


@dataclass
class Watched:
    """Memory of the server over time, and CPU seconds: of server, model and clients, and of each of the server's processes."""

    megabytes: list[float] = field(default_factory=list)
    cpu: tuple[float, float, float] = (0.0, 0.0, 0.0)
    each: list[float] = field(default_factory=list)


@contextmanager
def model_server() -> Iterator[tuple[str, int]]:
    """A model of 200 ms: its base URL and process id."""
    command = [sys.executable, "-m", "perf.load_model", str(MODEL_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
        assert model.stdout is not None
        try:
            yield model.stdout.readline().strip(), model.pid
        finally:
            model.kill()


@contextmanager
def longreach_serve(model_url: str, home: Path, processes: int) -> Iterator[tuple[str, int]]:
    """The real command: its URL and process id."""
    (home / "endpoints.toml").write_text(f'[mine]\nbase_url = "{model_url}"\nprice = [0, 0]\n', "utf-8")
    command = [sys.executable, "-m", "longreach", "serve", "--port", "0", "--model", "mine/*", "--runs", "2000"]
    command += ["--processes", str(processes)]
    environment = {**os.environ, "LONGREACH_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [*command, "--log-level", "warning", "--drain-seconds", "1"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+?(?=/v1)", server.stdout.readline())
        if not found:
            raise RuntimeError(f"the server did not start (exit status {server.wait()})")
        yield found[0], server.pid
    finally:
        server.terminate()
        server.communicate()


def with_children(pid: int) -> list[int]:
    """A process and all that it has started and that live, however deep."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(each) for each in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Of memory."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0


async def _watch_memory(pid: int, watched: Watched) -> None:
    """The resident memory of all processes of the server, every second."""
    while True:
        watched.megabytes.append(sum(resident_bytes(each) for each in with_children(pid)) / 1e6)
        await asyncio.sleep(1)


async def _run(plan: Plan, url: str, server: int, model: int) -> tuple[Load, Watched]:
    request = request_bytes(url, plan.strategy)
    await ask_at_rate(url, request, 10, 1)  # what is made once is made before
    watched = Watched()
    processes = with_children(server)
    before = [cpu_seconds(each) for each in processes]
    others_before = cpu_seconds(model), time.process_time()
    watching = asyncio.create_task(_watch_memory(server, watched))
    if plan.rate:
        load = await ask_at_rate(url, request, plan.rate, plan.seconds)
    else:
        load = await ask_in_turn(url, request, plan.clients, plan.seconds, plan.pause)
    watching.cancel()
    spent = [cpu_seconds(each) - earlier for each, earlier in zip(processes, before, strict=True)]
    watched.cpu = (sum(spent), cpu_seconds(model) - others_before[0], time.process_time() - others_before[1])
    watched.each = spent[1:] if plan.processes > 1 else spent[:1]
    return load, watched


def measure(plan: Plan) -> dict[str, float]:
    """The figures of one load. Raises RuntimeError when no request was answered."""
    with tempfile.TemporaryDirectory(prefix="longreach-perf-") as home, model_server() as (model_url, model):
        with longreach_serve(model_url, Path(home), plan.processes) as (url, server):
            load, watched = event_loop.run(_run(plan, url, server, model))
    for error in load.errors[:5]:
        print(f"error: {error}", file=sys.stderr)
    if not load.seconds:
        raise RuntimeError("no request was answered")
    return _figures(plan, load, watched)


def _figures(plan: Plan, load: Load, watched: Watched) -> dict[str, float]:
    over = sorted(1000 * (each - CALLS[plan.strategy] * MODEL_SECONDS) for each in load.seconds)
    quarter = max(1, len(watched.megabytes) // 4)
    early = statistics.mean(watched.megabytes[quarter : 2 * quarter] or watched.megabytes)
    late = statistics.mean(watched.megabytes[-quarter:])
    done = len(load.seconds)
    return {
        "requests": done,
        "errors": len(load.errors),
        "requests_per_s": done / plan.seconds,
        "overhead_p50": statistics.median(over),
        "overhead_p95": over[int(done * 0.95)],
        "overhead_max": over[-1],
        "first_event_p95": 1000 * sorted(load.first)[int(done * 0.95)],
        "server_cpu": 1000 * watched.cpu[0] / done,
        "model_cpu": 1000 * watched.cpu[1] / done,
        "client_cpu": 1000 * watched.cpu[2] / done,
        "least_share": min(watched.each) / statistics.mean(watched.each),
        "memory": late,
        "memory_growth": 100 * (late / early - 1),
    }


# --- what is published

LOADS = {
    "serve": (Plan(processes=2), "200 streams, each asked again at once, 2 processes"),
    "serve_rate": (Plan(rate=100), "100 streams a second"),
    "serve_paced": (Plan(pause=1.8), "200 clients, a request every 2 s"),
}


def _specs(name: str, title: str) -> tuple[Spec, ...]:
    return (
        Spec(f"{name}_errors", f"serve: {title}: errors", "", most=0),
        Spec(f"{name}_requests_per_s", f"serve: {title}: answered a second", ""),
        Spec(f"{name}_overhead_p95", f"serve: {title}: over the model's time, p95", "ms", most=MOST_MS),
        Spec(f"{name}_server_cpu", f"serve: {title}: server's CPU a request", "ms"),
        Spec(f"{name}_model_cpu", f"serve: {title}: the model's", "ms"),
        Spec(f"{name}_client_cpu", f"serve: {title}: the clients'", "ms"),
        Spec(f"{name}_memory_growth", f"serve: {title}: memory, second to last quarter", "%", most=5),
    )


def _published(name: str, plan: Plan) -> Mapping[str, float]:
    return {f"{name}_{key}": value for key, value in measure(plan).items()}


MEASUREMENTS = tuple(
    Measurement(name, partial(_published, name, plan), _specs(name, title), times=1)
    for name, (plan, title) in LOADS.items()
)


def main() -> int:
    """Returns 1 when a request failed."""
    if len(sys.argv) == 2 and sys.argv[1] in LOADS:
        return run_one(MEASUREMENTS, sys.argv[1:])
    parser = argparse.ArgumentParser(prog="python -m perf.serve", description="Load on `longreach serve`.")
    plan = Plan()
    parser.add_argument("--clients", type=int, default=plan.clients)
    parser.add_argument("--pause", type=float, default=plan.pause, help="seconds between a client's requests")
    parser.add_argument("--rate", type=float, default=plan.rate, help="requests a second, in the place of clients")
    parser.add_argument("--seconds", type=float, default=plan.seconds)
    parser.add_argument("--processes", type=int, default=plan.processes, help="of the server")
    parser.add_argument("--strategy", choices=tuple(CALLS), default=plan.strategy)
    chosen = replace(plan, **vars(parser.parse_args()))
    figures = measure(chosen)
    for name, value in figures.items():
        print(f"{name:<16} {value:,.2f}")
    print(json.dumps({**figures, "machine": machine()}))
    return 1 if figures["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
