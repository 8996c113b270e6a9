"""One run while this process works on it.

Covers: who owns it, who watches it, how it ended, cancelling it. Does not cover: starting it and its place in the queue (`serve.runner`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from longreach.errors import LongreachError
from longreach.runs import Record
from longreach.runs.events import CallFailed, RunEnded, RunStarted
from longreach.runs.store import ROOT_BRANCH

__all__ = ["Job", "Watcher"]


class Watcher(Protocol):
    """Who follows a run: gets its journal's records and the pieces of replies. Must not block."""

    def record(self, record: Record) -> None:
        """A record was written."""

    def text(self, branch: str, call: str, delta: str) -> None:
        """A piece of a model's reply has arrived."""


@dataclass(eq=False)
class Job:
    """A run that waits, works, or has just ended.

    ended: the run's last event, once it has one. error: why it could not begin, or what ended it out of order.
    last_failure: the kind of the last model call that failed for good. over: set when nothing more will happen.
    """

    run_id: str
    owner: str
    model: str
    folder: Path
    watchers: list[Watcher] = field(default_factory=list)
    ended: RunEnded | None = None
    error: LongreachError | None = None
    working: bool = False
    last_failure: str = ""
    task: asyncio.Task[None] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _cancelled: bool = False
    _breakable: bool = False  # whether breaking off its task leaves a journal with the run's end, or none
    _followers: set[asyncio.Event] = field(default_factory=set)
    _wait_for_end: list[asyncio.Event] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self.over.is_set()

    async def wait(self) -> RunEnded:
        """The run's end. Raises what kept it from beginning, or from ending in order. Cancelling the wait leaves the run alone."""
        await self.over.wait()
        if self.error is not None:
            raise self.error
        if self.ended is None:
            raise LongreachError(f"the run {self.run_id} was cancelled before it began")
        return self.ended

    def cancel(self) -> None:
        """End the run, its calls and its child runs; it keeps its best answer so far. One that has not begun ends as soon as its journal
        says what was asked, so that it can be resumed. Does nothing to a run that has ended.
        """
        self._cancelled = True
        if self._breakable and self.task is not None:
            self._breakable = False  # once: a second time would break off what the first one cleans up
            self.task.cancel()

    async def take(self, slots: asyncio.Semaphore) -> bool:
        """Wait for a slot, in the run's own task; False, and no slot, when the run is cancelled before there is one."""
        self._breakable = not self._cancelled
        if not self._breakable:
            return False
        try:
            return await slots.acquire()
        except asyncio.CancelledError:
            if not self._cancelled or self.task is None:
                raise
            self.task.uncancel()
            return False
        finally:
            self._breakable = False

    def follow(self, changed: asyncio.Event) -> Callable[[], None]:
        """Have `changed` set whenever the journal has grown or the run has ended; what is returned ends that."""
        self._followers.add(changed)
        return lambda: self._followers.discard(changed)

    def tell_end(self, ended: asyncio.Event) -> None:
        """Have `ended` set when nothing more will happen."""
        self._wait_for_end.append(ended)
        if self.done:
            ended.set()

    # --- what the run tells

    def record(self, record: Record) -> None:
        """A record was written."""
        event = record.event
        if isinstance(event, RunStarted) and event.branch == ROOT_BRANCH:
            self._begin()
        elif isinstance(event, RunEnded) and event.branch == ROOT_BRANCH:
            self.ended = event
            self._breakable = False
        elif isinstance(event, CallFailed):
            self.last_failure = event.error
        for watcher in self.watchers:
            watcher.record(record)
        for each in self._followers:
            each.set()

    def text(self, branch: str, call: str, delta: str) -> None:
        """A piece of a model's reply has arrived."""
        for watcher in self.watchers:
            watcher.text(branch, call, delta)

    def end(self) -> None:
        """Nothing more will happen."""
        for each in (self.over, *self._wait_for_end, *self._followers):
            each.set()

    # --- inside

    def _begin(self) -> None:
        self._breakable = True
        if self._cancelled:
            self.cancel()
