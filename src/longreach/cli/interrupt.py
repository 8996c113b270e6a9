"""Ending a run from outside: Ctrl-C, SIGTERM, a closed terminal.

Covers: the first signal cancels the work and lets it clean up, a second one ends the process at once, and clean-up that hangs is cut
short. Does not cover: what is said about it (`cli.ask`). Workers of the sandbox die with this process, however it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

__all__ = ["Interrupts"]

CLEANUP_SECONDS = 10.0
KILLED_STATUS = 130
SHOW_CURSOR = "\x1b[?25h"
_T = TypeVar("_T")


class Interrupts:
    """Turns signals into one orderly end. Inside `with`, the first raises KeyboardInterrupt, in `run` only after the work's clean-up."""

    def __init__(self, cut_short_status: int) -> None:
        self.happened = False
        self._cut_short_status = cut_short_status
        self._cancel: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        signals = [signal.SIGINT, signal.SIGTERM]
        # a closed terminal ends the run, unless `nohup` asked for the opposite
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signals.append(signal.SIGHUP)
        for each in signals:
            self._before[each] = signal.signal(each, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.happened:
            for each, handler in self._before.items():
                signal.signal(each, handler)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`. Raises KeyboardInterrupt when a signal cancelled it; it has cleaned up then."""
        import asyncio

        from longreach.event_loop import new_event_loop

        loop = new_event_loop()
        try:
            task = loop.create_task(work)
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
        finally:
            self._cancel = lambda: None
            self._close(loop)

    def leave(self, status: int) -> int:
        """The exit status; after an interrupt the process ends here, without waiting for threads that still work."""
        if self.happened:
            _end_process(status)
        return status

    # --- inside

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.happened:
            _end_process(KILLED_STATUS)
        self.happened = True
        watchdog = threading.Timer(CLEANUP_SECONDS, _end_process, [self._cut_short_status])
        watchdog.daemon = True
        watchdog.start()
        if self._cancel is None:
            raise KeyboardInterrupt
        self._cancel()

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        if not self.happened:
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _end_process(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is sys.stderr and stream.isatty():
                stream.write(SHOW_CURSOR)
            stream.flush()
        except (OSError, ValueError, RuntimeError):
            # the process ends with this status whether or not anybody can still read
            continue
    os._exit(status)
