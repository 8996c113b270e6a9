"""Which event loop a program of ours runs on: uvloop's where it is installed, else asyncio's own.

Covers: making a loop, and running work on one. Does not cover: work on a loop that somebody else made (`aask` and the other async forms
run on any).

uvloop takes less processor time for what a run does, and for Windows there is none. It comes with the extras `fast` and
`serve`, is loaded when a loop is made, and LONGREACH_EVENT_LOOP=asyncio goes without it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["CHOICE", "new_event_loop", "run"]

CHOICE = "LONGREACH_EVENT_LOOP"
_T = TypeVar("_T")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop to run on. The caller closes it."""
    if os.environ.get(CHOICE) != "asyncio":
        with suppress(ImportError):
            from uvloop import new_event_loop as new_uvloop

            return new_uvloop()
    return asyncio.new_event_loop()


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run` on such a loop."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)
