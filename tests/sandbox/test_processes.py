"""What is left when something is killed: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from longreach.context import Context
from longreach.errors import SandboxUnavailable
from longreach.sandbox import Calls, Limits
from longreach.sandbox.factory import SandboxOptions, open_sandbox

SOURCE = Path(__file__).resolve().parents[2] / "src"
HOST = """
import asyncio, sys
from longreach.context import Context
from longreach.sandbox import Limits
from longreach.sandbox.factory import open_sandbox
async def main():
    sandboxes = [open_sandbox() for _ in range(3)]
    for sandbox in sandboxes:
        await sandbox.start(Context.from_text("x"), {}, Limits())
    await sandboxes[0].run("1", 5)  # stopped between steps
    print("ready", flush=True)
    await asyncio.gather(sandboxes[1].run("while True: pass", 60), sandboxes[2].run("import time; time.sleep(60)", 60))
asyncio.run(main())
"""


def descendants(pid: int) -> set[int]:
    """Processes below this one, as far as they can be seen now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, pending = set(), [pid]
    while pending:
        for child in parents.get(pending.pop(), []):
            found.add(child)
            pending.append(child)
    return found


def fork_servers() -> list[int]:
    return [pid for pid in descendants(os.getpid()) if b"\0zygote\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def gone(pids: set[int]) -> bool:
    def lives(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    for _ in range(200):
        if not any(lives(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killing_the_host_leaves_no_process(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    host = subprocess.Popen(
        [sys.executable, "-c", HOST], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert host.stdout is not None
    assert host.stdout.readline() == b"ready\n"
    below = descendants(host.pid)
    assert len(below) == 4  # the fork server and three workers
    host.send_signal(number)
    host.wait(10)
    host.stdout.close()
    assert gone(below)


async def test_a_killed_fork_server_is_replaced() -> None:
    first = open_sandbox()
    await first.start(Context.from_text("x"), {}, Limits())
    await first.run("kept = 1", 10)
    await first.snapshot()
    for pid in fork_servers():
        os.kill(pid, signal.SIGKILL)
    observation = await first.run("kept", 10)
    assert observation.status == "died"  # its worker ended with the server
    assert (await first.run("kept", 10)).output == "1\n"
    await first.close()


def test_event_loops_and_threads_come_and_go() -> None:
    outputs: list[str] = []

    async def session() -> None:
        sandbox = open_sandbox()
        await sandbox.start(Context.from_text("x"), {}, Limits())
        outputs.append((await sandbox.run("6 * 7", 10)).output)
        await sandbox.close()

    for _ in range(3):
        asyncio.run(session())
    threads = [threading.Thread(target=asyncio.run, args=(session(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == ["42\n"] * 6


class Foreseeing:
    """A handler for which a worker is the first process of a PID namespace."""

    async def __call__(self, arguments: Mapping[str, Any], /) -> Any:
        return "an answer"

    def room(self) -> int:
        return 1

    def ahead(self, arguments: Mapping[str, Any]) -> None: ...

    def ready(self, arguments: Mapping[str, Any]) -> None: ...

    def peek(self, arguments: Mapping[str, Any]) -> None: ...


APART = pytest.mark.parametrize("calls", [{}, {"llm_query": Foreseeing()}], ids=["with the host", "apart"])


@APART
async def test_closing_leaves_no_process_and_no_descriptor(calls: Calls) -> None:
    async def session() -> None:
        sandbox = open_sandbox()
        await sandbox.start(Context.from_text("x"), calls, Limits(grace_seconds=0.1))
        await sandbox.run("import os; os._exit(1)", 10)
        await sandbox.run("x = 1", 10)
        await sandbox.close()

    await session()
    gc.collect()
    processes, descriptors = descendants(os.getpid()), len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*[session() for _ in range(4)])
    assert gone(descendants(os.getpid()) - processes)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # fewer when an earlier test left some to the collector


@APART
async def test_cancelling_a_start_leaves_no_process(calls: Calls) -> None:
    warm = open_sandbox()
    await warm.start(Context.from_text("x"), calls, Limits())
    await warm.close()
    before = descendants(os.getpid())
    for pause in (0.0, 0.001, 0.003, 0.006, 0.008, 0.01, 0.015, 0.02):
        sandbox = open_sandbox()
        start = asyncio.create_task(sandbox.start(Context.from_text("x"), calls, Limits()))
        await asyncio.sleep(pause)
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await sandbox.close()
    assert gone(descendants(os.getpid()) - before)


async def test_a_package_to_preload_that_does_not_exist() -> None:
    sandbox = open_sandbox(SandboxOptions(preload=("no_such_package",)))
    with pytest.raises(SandboxUnavailable, match="no_such_package"):
        await sandbox.start(Context.from_text("x"), {}, Limits())
    await sandbox.close()


async def test_a_preloaded_package_can_be_imported() -> None:
    sandbox = open_sandbox(SandboxOptions(preload=("hypothesis",)))
    await sandbox.start(Context.from_text("x"), {}, Limits())
    assert (await sandbox.run("import hypothesis.strategies as st\nst.integers()", 10)).output == "integers()\n"
    await sandbox.close()


async def test_a_sandbox_that_nobody_closed_leaves_no_process() -> None:
    warm = open_sandbox()
    await warm.start(Context.from_text("x"), {}, Limits())
    await warm.close()
    before = descendants(os.getpid())
    sandbox = open_sandbox()
    await sandbox.start(Context.from_text("x"), {}, Limits())
    await sandbox.run("1", 10)
    await asyncio.sleep(0.1)  # the checkpoint that follows a step
    below = descendants(os.getpid()) - before
    assert len(below) == 1
    del sandbox
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.01)
    assert gone(below)


def test_a_host_that_ends_without_closing_leaves_no_process() -> None:
    code = HOST.replace("await asyncio.gather(sandboxes[1]", "return\n    await asyncio.gather(sandboxes[1]")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    host = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert host.stdout is not None
    assert host.stderr is not None
    assert host.stdout.readline() == b"ready\n"
    below = descendants(host.pid)
    assert host.wait(20) == 0
    assert host.stderr.read() == b""
    host.stdout.close()
    host.stderr.close()
    assert gone(below)
