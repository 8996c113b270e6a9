"""Going on ahead of the answer: a fork of the worker runs the code further with a placeholder, to learn what it would ask next.

Covers: the placeholder, the fork when the host asks for one, and what the scout does differently: it tells the host the prompts it comes to
instead of asking them, and ends at the first thing that it cannot know; answers that came with an earlier one, before their calls are made.
Does not cover: what becomes of those prompts (the host), nor what keeps forks in bounds (`forks`, and the host). The scout's variables and
output are thrown away with it.
"""

from __future__ import annotations

import os
import signal
import struct
from _thread import _count as other_threads
from collections import deque
from hashlib import blake2b
from typing import Any, NoReturn

__all__ = ["SCOUTED", "Given", "Placeholder", "Scouting", "digest_of"]

MARK = "\ufdd0"  # no character: no text has it that was not derived from a placeholder
PIECE_BYTES = 32 << 10  # a message of this channel cannot be longer than its buffer
HEADER = ">IB"  # generation, whether more of the same follows
SCOUTED = "llm_query"


class Placeholder(str):
    """Stands for an answer that is not there yet. A text, and also a number, so that code which parses its results goes on."""

    __slots__ = ()

    def __new__(cls, *_: object) -> Placeholder:
        """Every placeholder has the same text."""
        return super().__new__(cls, MARK * 8)

    def __int__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def _same(self, *_: object, **__: object) -> Any:
        return self

    strip = lstrip = rstrip = lower = upper = title = capitalize = casefold = replace = removeprefix = removesuffix = (
        _same
    )
    __getitem__ = _same

    def split(self, *_: object, **__: object) -> list[str]:
        """One piece."""
        return [self]

    splitlines = split


def digest_of(arguments: bytes) -> str:
    """What a call is known by here and at the host, from its encoded arguments."""
    return blake2b(arguments, digest_size=16).hexdigest()


class Given:
    """Answers that came before their calls were made, in the order in which the code would make these. Of use to the main thread alone."""

    def __init__(self) -> None:
        self._answers: deque[tuple[str, Any]] = deque()
        self._used = 0

    def keep(self, answers: list[tuple[str, Any]]) -> None:
        """These are there now, each with its call's digest."""
        self._answers = deque(answers)

    def take(self, digest: str) -> list[Any]:
        """The answer to the call that is made now; empty when it is not the one that was expected, and then no other is either."""
        if not self._answers:
            return []
        if self._answers[0][0] != digest:
            self._answers.clear()
            return []
        self._used += 1
        return [self._answers.popleft()[1]]

    def tell_used(self) -> dict[str, int]:
        """For the next frame to the host: how many were used since the last one."""
        used, self._used = self._used, 0
        return {"used": used} if used else {}


class Scouting:
    """One worker's way to scouts, and in a scout the way to the host."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._generation = 0
        self.is_scout = False

    def possible(self) -> bool:
        """Whether a fork would hold all that runs: no other thread does."""
        return other_threads() == 0

    def fork(self, generation: int, streams: set[int]) -> bool:
        """Whether this is the scout now. In a scout `streams`, the worker's connection, are closed."""
        if not self.possible():
            return False
        try:
            child = os.fork()
        except OSError:  # the host changed its mind, or there is no memory
            return False
        if child:
            return False
        self.is_scout, self._generation = True, generation
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for stream in streams:
            os.close(stream)
        return True

    def tell(self, digest: str, arguments: bytes) -> None:
        """In a scout: name a call to the host, if it depends on no placeholder."""
        if MARK.encode() in arguments:
            return
        payload = b'{"t":"ahead","d":"%s","p":%s}' % (digest.encode(), arguments)
        try:
            for start in range(0, len(payload), PIECE_BYTES):
                more = start + PIECE_BYTES < len(payload)
                piece = payload[start : start + PIECE_BYTES]
                os.write(self._descriptor, struct.pack(HEADER, self._generation, more) + piece)
        except OSError:
            self.end()

    def end(self) -> NoReturn:
        """The scout has come as far as it can."""
        os._exit(0)
