"""Calls begun before the code makes them: while the code waits for one, a scout says which it would make next.

Covers: when a scout is asked for, what it says as checked arguments, how long it is kept, which answers the code is given in advance. Does
not cover: forks (`scouts`), how many calls may be begun (the handler).

A scout is kept as long as the code does what it said, and is read only as far as calls may be begun: then it waits. When the code makes a
call that it did not name, another one, which knows the answers that have come since, takes its place. A fork costs about as much as a
short wait, so one is worth it only once the code has waited that long, at once or in small pieces; twice as long after each scout that was
of no use.

An answer goes to the worker with those to the next calls, where they are there: each way there and back wakes two processes. The worker
says with its next frame how many of them the code has used; they count as made only then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from longreach.errors import ProtocolViolation
from longreach.sandbox.base import Foresighted
from longreach.sandbox.scouts import Scouts

__all__ = ["LookAhead"]

PATIENCE = 0.002  # seconds of waiting that are worth a fork
MOST_PATIENCE = 0.5
FIRST_PAUSE = 0.002  # until another try, while the last scout is about to end
LONGEST_PAUSE = 0.5
MOST_AT_A_TIME = 8
MOST_GIVEN = 16  # answers in advance
MOST_GIVEN_CHARS = 1 << 16
Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Named:
    """A call that a scout has named. digest: what the worker knows it by."""

    mark: int
    digest: str
    arguments: Mapping[str, Any]


class LookAhead:
    """One conversation's scouts.

    ask: sends a frame to the worker. read: the digest and the checked arguments of a payload. broke_rule: told of a `ProtocolViolation`.
    """

    def __init__(
        self,
        scouts: Scouts,
        ask: Callable[[Frame], None],
        read: Callable[[bytes], tuple[str, Mapping[str, Any]]],
        broke_rule: Callable[[ProtocolViolation], None],
    ) -> None:
        self._scouts = scouts
        self._ask = ask
        self._read = read
        self._broke_rule = broke_rule
        self._loop = asyncio.get_running_loop()
        self._waiting_for = 0
        self._since = 0.0
        self._waited = 0.0
        """Seconds for which the code has waited since the last fork."""
        self._patience = PATIENCE
        self._named: deque[_Named] = deque()
        """Calls that the scout has named and the code has not made, in order."""
        self._given: list[_Named] = []
        """Those of them whose answers the worker has."""
        self._timer: asyncio.TimerHandle | None = None

    def call_blocks(self, number: int, handler: Foresighted, arguments: Mapping[str, Any], cap: int) -> None:
        """The code waits for this call, and does nothing else."""
        self._code_goes_on()
        self._waiting_for, self._since = number, self._loop.time()
        if self._was_named(_mark(arguments)):
            self._patience = PATIENCE
            if self._named or self._scouts.present():
                self._loop.call_soon(self._listen, handler)
                return
        wait = max(0.0, self._patience - self._waited)
        self._timer = self._loop.call_later(wait, self._replace, handler, cap)

    def call_was_ready(self, handler: Foresighted, arguments: Mapping[str, Any]) -> None:
        """The code made this call and has its answer."""
        self._code_goes_on()
        if self._was_named(_mark(arguments)):
            self._patience = PATIENCE
        self._listen(handler)

    def give(self, handler: Foresighted) -> list[tuple[str, str]]:
        """Answers to the calls that come next, as far as they are there, with their digests; to go with the one that is waited for."""
        answers: list[tuple[str, str]] = []
        self._given, digests, chars = [], set(), 0
        # half of them: others are to be on their way when the worker comes back
        for each in islice(self._named, min(MOST_GIVEN, (len(self._named) + 1) // 2)):
            text = handler.peek(each.arguments)
            if text is None or each.digest in digests or (chars := chars + len(text)) > MOST_GIVEN_CHARS:
                break
            digests.add(each.digest)  # one answer is for one call
            answers.append((each.digest, text))
            self._given.append(each)
        return answers

    def use(self, count: int, handler: Foresighted) -> None:
        """The code has made the first `count` of the calls that it was given answers to. Raises `ProtocolViolation`, what `ready` does."""
        if count > len(self._given):
            raise ProtocolViolation("it used more answers than it was given")
        used, self._given = self._given[:count], []
        for each in used:
            handler.ready(each.arguments)
            self._was_named(each.mark)
        self._patience = PATIENCE

    def _was_named(self, mark: int) -> bool:
        if all(each.mark != mark for each in self._named):
            return False
        while self._named.popleft().mark != mark:
            continue
        return True

    def _replace(self, handler: Foresighted, cap: int) -> None:
        """Ask for a scout that stands where the code stands."""
        self._timer = None
        if handler.room() <= 0:
            return  # there will not be more while the code waits
        self._patience = min(MOST_PATIENCE, 2 * self._patience)
        self._waited, self._since = 0.0, self._loop.time()
        self._scouts.dismiss()
        self._named.clear()
        self._invite(handler, cap, FIRST_PAUSE)

    def _invite(self, handler: Foresighted, cap: int, pause: float) -> None:
        self._timer = None
        generation = self._scouts.invite(lambda payload: self._heard(handler, payload), cap)
        if generation is not None:
            self._ask({"t": "scout", "g": generation})
        elif pause < LONGEST_PAUSE:  # the last one is about to end
            self._timer = self._loop.call_later(pause, self._invite, handler, cap, 2 * pause)

    def _heard(self, handler: Foresighted, payload: bytes) -> None:
        try:
            digest, arguments = self._read(payload)
        except ProtocolViolation as violation:
            self._broke_rule(violation)
            return
        self._named.append(_Named(_mark(arguments), digest, arguments))
        handler.ahead(arguments)
        self._listen(handler)

    def _listen(self, handler: Foresighted) -> None:
        """Let the scout speak while there is room for what it says; once there was none, for a few calls at a time."""
        wanted = 0 if self._scouts.listening else min(MOST_AT_A_TIME, len(self._named) // 4)
        self._scouts.listen(handler.room() > wanted)

    def answered(self, number: int, handler: Foresighted) -> None:
        """This call has its answer."""
        if number == self._waiting_for:
            self._code_goes_on()
        self._listen(handler)

    def _code_goes_on(self) -> None:
        if self._waiting_for:
            self._waited += self._loop.time() - self._since
            self._waiting_for = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """The step is over, and with it all that a scout could know."""
        self._code_goes_on()
        self._named.clear()
        self._given = []
        self._waited, self._patience = 0.0, PATIENCE
        self._scouts.dismiss()

    def close(self) -> None:
        """Let go of the scouts for good."""
        self.stop()
        self._scouts.close()


def _mark(arguments: Mapping[str, Any]) -> int:
    """What a call is known by; that two have the same by chance would cost a little time, no more."""
    return hash((arguments.get("prompt"), arguments.get("context"), arguments.get("model")))
