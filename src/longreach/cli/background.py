"""An event loop in a thread of its own, for commands that wait for input between runs.

Covers: running work there from the main thread; Ctrl-C cancels the work and lets it clean up. The loop goes on while the main thread
waits for input, so that connections which a server closes meanwhile are noticed. Does not cover: commands of a single run
(`cli.interrupt`).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, TypeVar

from longreach.event_loop import new_event_loop

__all__ = ["Background", "ended_by_signals"]

CLEANUP_SECONDS = 10.0
WAIT_SECONDS = 0.2
_T = TypeVar("_T")


class Background:
    """The loop, while it is entered."""

    def __init__(self) -> None:
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLEANUP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`. What interrupts the main thread meanwhile cancels it, and is raised once it has cleaned up."""
        outcome: Future[_T] = Future()
        tasks: list[asyncio.Task[_T]] = []

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda task: _pass_on(task, outcome))

        def cancel() -> None:
            if tasks:
                tasks[0].cancel()
            else:
                work.close()
                outcome.set_exception(KeyboardInterrupt())

        try:
            self._loop.call_soon_threadsafe(begin)
            # in short waits, since one that has just begun could miss a signal, and none can be interrupted on Windows
            while not wait([outcome], WAIT_SECONDS).done:
                pass
            return outcome.result()
        except BaseException:
            if not outcome.done():
                self._loop.call_soon_threadsafe(cancel)
                wait([outcome], CLEANUP_SECONDS)
            raise

    async def _cancel_all(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CLEANUP_SECONDS)
        await self._loop.shutdown_asyncgens()


def _pass_on(task: asyncio.Task[_T], outcome: Future[_T]) -> None:
    if task.cancelled():
        outcome.set_exception(KeyboardInterrupt())
    elif error := task.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Inside, SIGTERM and a closed terminal raise SystemExit in the main thread, so that everything is cleaned up."""
    before: dict[int, Any] = {}
    numbers: list[int] = [signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for each in numbers:
        before[each] = signal.signal(each, _leave)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
