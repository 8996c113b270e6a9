"""Which event loop a program of ours runs on: uvloop's where it is installed, else asyncio's own.

Covers: making a loop, and running work on one. Does not cover: work on a loop that somebody else made (`aask` and the other async forms
run on any).

uvloop takes less processor time for what a run does, and for Windows there is none. It comes with the extras `fast` and
`serve`, is loaded when a loop is made, and LONGREACH_EVENT_LOOP=asyncio goes without it.

While such a loop runs, Python's garbage collector looks for cycles less often: what it looks through is mostly work that goes on.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Coroutine
from contextlib import AbstractContextManager, suppress
from threading import Lock
from typing import Any, TypeVar

__all__ = ["CHOICE", "new_event_loop", "run"]

CHOICE = "LONGREACH_EVENT_LOOP"
COLLECT_AFTER = 10_000  # new objects that make the collector look; Python's own 700 come and go within a few calls
_T = TypeVar("_T")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop to run on. The caller closes it."""
    if os.environ.get(CHOICE) != "asyncio":
        with suppress(ImportError):
            from uvloop import new_event_loop as new_uvloop

            return new_uvloop()
    return asyncio.new_event_loop()


class _SeldomCollecting(AbstractContextManager[None]):
    """The collector's threshold, raised while at least one loop runs, on whichever thread; one that is off stays off."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loops = 0
        self._before = gc.get_threshold()

    def __enter__(self) -> None:
        with self._lock:
            self._loops += 1
            if self._loops == 1:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < COLLECT_AFTER:
                    gc.set_threshold(COLLECT_AFTER, *self._before[1:])

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._loops -= 1
            if self._loops == 0 and gc.get_threshold()[0] == COLLECT_AFTER:  # nobody else has set it meanwhile
                gc.set_threshold(*self._before)


_seldom_collecting = _SeldomCollecting()


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run` on such a loop."""
    with _seldom_collecting, asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)
