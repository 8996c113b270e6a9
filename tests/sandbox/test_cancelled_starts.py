"""A start that is cancelled, at whatever moment: nothing of it is left, and the garbage collector is not needed for that."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from longreach.context import Context
from longreach.event_loop import new_event_loop
from longreach.sandbox import Calls, Limits, conversation, forkserver, session
from longreach.sandbox.base import Sandbox
from longreach.sandbox.forkserver import ForkServerLauncher
from longreach.sandbox.launch import FreshInterpreter, Launcher
from longreach.sandbox.session import WorkerSandbox
from tests.sandbox.test_processes import APART, descendants

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for what is left in /proc")

AT_ONCE = 4
PATIENCE_SECONDS = 20.0
LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, new_event_loop], ids=["asyncio", "the fastest"])
LAUNCHERS = pytest.mark.parametrize("launcher", [ForkServerLauncher, FreshInterpreter])


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def descriptors() -> set[str]:
    """The open ones, with what each is of."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:  # that of the listing itself
            continue
    return found


async def until_none(left: Callable[[], set[Any]]) -> set[Any]:
    """What is left in the end: what was cancelled twice may still be on its way out."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := left()) and time.monotonic() < end:  # noqa: ASYNC110 what ends has no event
        await asyncio.sleep(0.02)
    return found


async def cancelled_start(sandbox: Sandbox, calls: Calls, moment: random.Random, longest: float) -> None:
    start = asyncio.create_task(sandbox.start(Context.from_text("x" * 100), calls, Limits()))
    for _ in range(moment.choice((1, 1, 2))):  # the second time while it is cleaned up
        if moment.random() < 0.3:
            for _ in range(moment.randrange(12)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(moment.uniform(0, longest))
        start.cancel()
    await asyncio.wait([start])
    if not start.cancelled() or moment.random() < 0.5:  # else nobody closes it: the start is what failed
        await sandbox.close()


async def warmed(launcher: Callable[[], Launcher], calls: Calls) -> float:
    """How long a start takes, once all that is made once is there."""
    for _ in range(2):
        sandbox = WorkerSandbox(launcher())
        began = time.monotonic()
        await sandbox.start(Context.from_text("x"), calls, Limits())
        seconds = time.monotonic() - began
        await sandbox.close()
    return seconds


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """After the block there are the processes and descriptors that there were before; zombies are among them."""
    processes, files = descendants(os.getpid()), descriptors()
    yield
    assert await until_none(lambda: descendants(os.getpid()) - processes) == set()
    assert await until_none(lambda: descriptors() - files) == set()


async def stress(launcher: Callable[[], Launcher], calls: Calls) -> None:
    moment, longest = random.Random(7), 1.5 * AT_ONCE * await warmed(launcher, calls)
    async with nothing_left():
        for _ in range(12 if launcher is ForkServerLauncher else 3):
            starts = (cancelled_start(WorkerSandbox(launcher()), calls, moment, longest) for _ in range(AT_ONCE))
            await asyncio.gather(*starts)


@LAUNCHERS
@LOOPS
@APART
@pytest.mark.usefixtures("no_collector")
def test_starts_that_are_cancelled_at_random_moments_leave_nothing(
    launcher: Callable[[], Launcher], new_loop: Callable[[], asyncio.AbstractEventLoop], calls: Mapping[str, Any]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(stress(launcher, calls))


async def while_it_connects(launcher: Callable[[], Launcher], calls: Calls, patch: pytest.MonkeyPatch) -> None:
    async def cancelled(*arguments: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        return await conversation.connect(*arguments)

    await warmed(launcher, calls)
    patch.setattr(session, "connect", cancelled)
    async with nothing_left():
        for _ in range(3):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(WorkerSandbox(launcher()).start(Context.from_text("x"), calls, Limits()))


@LAUNCHERS
@LOOPS
@pytest.mark.usefixtures("no_collector")
def test_a_start_that_is_cancelled_while_it_connects_leaves_nothing(
    launcher: Callable[[], Launcher],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(while_it_connects(launcher, {}, monkeypatch))


async def context_that_goes_while_the_worker_is_forked(patch: pytest.MonkeyPatch) -> None:
    await warmed(ForkServerLauncher, {})
    other, sandbox = WorkerSandbox(ForkServerLauncher()), WorkerSandbox(ForkServerLauncher())
    await other.start(Context.from_text("x"), {}, Limits())
    asked, may_go_on, ask = threading.Event(), threading.Event(), forkserver._Server.ask

    def slow(server: Any, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        asked.set()
        assert may_go_on.wait(PATIENCE_SECONDS)
        return ask(server, request, descriptors)

    async with nothing_left():
        with patch.context() as patched:
            patched.setattr(forkserver._Server, "ask", slow)
            before = descriptors()
            start = asyncio.create_task(sandbox.start(Context.from_text("y"), {}, Limits()))
            await asyncio.to_thread(asked.wait)
            start.cancel()
            await asyncio.wait([start])
            await sandbox.close()
            del start, sandbox
            contexts = [each for each in descriptors() - before if "context" in each]
            assert len(contexts) == 1  # what was sent; that of the context itself is closed
            may_go_on.set()
    assert (await other.run("6 * 7", 10)).output == "42\n"
    await other.close()


@pytest.mark.usefixtures("no_collector")
def test_a_context_that_goes_while_a_worker_is_forked_costs_no_other_session(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(context_that_goes_while_the_worker_is_forked(monkeypatch))
