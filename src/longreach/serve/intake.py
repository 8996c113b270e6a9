"""How much of clients' requests is in memory at once.

Covers: one cap on the bytes of all JSON bodies together, each counted from its first piece to the end of the run that it asks for, whose
context it is. Does not cover: uploads, which lie on the disk (`serve.contexts`), the size of one body (`serve.requests`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from longreach.serve.failures import ApiError

__all__ = ["Held", "Intake"]

BUSY_SECONDS = 2.0  # after which a client may try again


class Held:
    """The bytes of one request."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._size = 0
        self._run: asyncio.Task[Any] | None = None

    def take(self, more: int) -> None:
        """Count so many bytes more. Raises `ApiError` (429) when there is no room for them."""
        intake = self._intake
        # one alone always has room, or it could never be sent
        if intake.bytes + more > intake.most and intake.bytes > self._size:
            raise ApiError(
                429,
                "too_much_at_once",
                f"requests of {intake.bytes:,} bytes are in work already: try again later, or upload long inputs to /v1/contexts",
                retry_after=BUSY_SECONDS,
            )
        intake.bytes += more
        self._size += more

    def until(self, run: asyncio.Task[Any] | None) -> None:
        """Count them until this run has ended."""
        self._run = run
        if run is not None:
            run.add_done_callback(lambda _: self._release())

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        # the request has been answered, or a run began
        if self._run is None:
            self._release()

    def _release(self) -> None:
        self._intake.bytes -= self._size
        self._size = 0


class Intake:
    """All of a server. `most`: bytes. `bytes`: held now."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0

    def body(self) -> Held:
        """For the time of one request, as a context."""
        return Held(self)
