"""Going on with a run whose process ended: what its journal already holds is not done, paid or written again.

Covers: the answers and events of the earlier processes, found again by what they are, not by when they came. A resumed run executes
from the beginning; a call that was answered gets its recorded answer, its cost is booked as spent, and an event that the journal already
holds is not written twice. So the run goes on where it stopped, and whatever differs from then on (code that asked the clock, say) is
paid anew.
Does not cover: opening the context and the models again (`longreach.api`).
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from longreach.models.base import Completion, Usage
from longreach.runs.events import (
    AheadEnded,
    AheadStarted,
    CallEnded,
    CallFailed,
    CallRetried,
    CallStarted,
    Event,
    RunEnded,
    RunResumed,
)
from longreach.runs.journal import Record
from longreach.runs.store import ROOT_BRANCH

__all__ = ["CACHE", "Recorded", "Recording"]

CACHE = "cache"
"""What an answer was reused from that came out of the cache and not out of this run."""

_TIMES = ("seconds", "waited_seconds", "latency", "usage")  # fields that differ between two equal executions


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as an earlier process of the run got it. `cost` in US dollars; `cached`: it came out of the cache, at no cost."""

    completion: Completion
    cost: Decimal | None
    cached: bool


class Recording:
    """What earlier processes of a run left.

    seconds: how long they worked on it. unconfirmed: calls and attempts that may have been charged though nothing came of them: they broke
    off, or the process ended before their answer was recorded. One that a later process sent again stands for what may have been charged
    the first time. process: the number of the process that goes on, from 2.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.seconds = 0.0
        self.process = 2
        self._answers: dict[str, deque[Recorded]] = defaultdict(deque)
        self._events: dict[str, deque[Record]] = defaultdict(deque)
        open_calls: dict[str, CallStarted] = {}
        broken_off: list[CallStarted | AheadStarted] = []
        ahead = _AheadCalls()
        began = last = None
        for record in records:
            event = record.event
            if began is None or isinstance(event, RunResumed):
                self.seconds += last - began if began is not None and last is not None else 0.0
                began = record.time
            self.process += isinstance(event, RunResumed)
            last = record.time
            if not (isinstance(event, RunEnded) and event.branch == ROOT_BRANCH):
                # that end was void as soon as the run went on; the next one is written even if it is the same
                self._events[_identity(event)].append(record)
            ahead.take(event)
            if isinstance(event, RunResumed):
                broken_off += open_calls.values()
                open_calls.clear()
            elif isinstance(event, CallStarted):
                open_calls[event.call] = event
            elif isinstance(event, (CallFailed, CallRetried)):
                attempt = open_calls.get(event.call)
                if attempt and event.possibly_charged:
                    broken_off.append(attempt)
                if isinstance(event, CallFailed):
                    open_calls.pop(event.call, None)
            elif isinstance(event, CallEnded):
                started = open_calls.pop(event.call, None)
                # what was reused from a call of this run will be again; what is in the cache then nobody knows
                if started and event.reused_from in (None, CACHE):
                    cost = None if event.cost_usd is None else Decimal(event.cost_usd)
                    recorded = Recorded(_completion(event), cost, event.reused_from == CACHE)
                    self._answers[started.key].append(recorded)
        if began is not None and last is not None:
            self.seconds += last - began
        for key, answer in ahead.answers():
            self._answers[key].append(answer)
        self.unconfirmed = (*broken_off, *open_calls.values(), *ahead.unanswered())

    def take_answer(self, key: str) -> Recorded | None:
        """The recorded answer of a request, each given once; None when there is none (left)."""
        answers = self._answers.get(key)
        return answers.popleft() if answers else None

    def has_answer(self, key: str) -> bool:
        """Whether `take_answer` would give one."""
        return bool(self._answers.get(key))

    def take_event(self, event: Event) -> Record | None:
        """The record of this event in the journal, each given once; None when it has not happened before."""
        records = self._events.get(_identity(event))
        return records.popleft() if records else None


class _AheadCalls:
    """Calls that were sent before the code made them, and of which nothing else was recorded when the process ended."""

    def __init__(self) -> None:
        self._open: dict[str, AheadStarted] = {}
        self._answered: dict[str, Recorded] = {}
        self._keys: dict[str, str] = {}
        self._lost: list[AheadStarted] = []

    def take(self, event: Event) -> None:
        """The next event of the journal."""
        if isinstance(event, RunResumed):
            self._lost += self._open.values()
            self._open.clear()
        elif isinstance(event, AheadStarted):
            self._open[event.call] = event
        elif isinstance(event, AheadEnded):
            if started := self._open.pop(event.call, None):
                cost = None if event.cost_usd is None else Decimal(event.cost_usd)
                self._answered[started.key] = Recorded(_completion(event), cost, False)
        elif isinstance(event, CallFailed):
            self._open.pop(event.call, None)
        elif isinstance(event, CallStarted):
            self._keys[event.call] = event.key
        elif isinstance(event, CallEnded):
            self._answered.pop(self._keys.pop(event.call, ""), None)  # recorded as a call by now

    def answers(self) -> Iterable[tuple[str, Recorded]]:
        """Those that were answered, by key."""
        return self._answered.items()

    def unanswered(self) -> list[AheadStarted]:
        """Those that were not: they may have been charged."""
        return [*self._lost, *self._open.values()]


def _identity(event: Event) -> str:
    # the key of a call stands for its messages, which are many
    left_out = (*_TIMES, "messages") if isinstance(event, (CallStarted, AheadStarted)) else _TIMES
    values = {name: value for name, value in event.to_json().items() if name not in left_out}
    return json.dumps(values, sort_keys=True, ensure_ascii=True)


def _completion(event: CallEnded | AheadEnded) -> Completion:
    known = {name: event.usage.get(name, 0) for name in Usage.__dataclass_fields__}
    return Completion(
        text=event.text,
        usage=Usage(**known),
        stop_reason=event.stop_reason,  # type: ignore[arg-type]
        latency=event.latency,
        reasoning=event.reasoning,
        usage_estimated=event.usage_estimated,
    )
