"""Server-sent events to one client.

Covers: pings, a client that goes away, what is to happen when the stream ends. Does not cover: the events, a client that takes nothing
(`serve.connection`).

Two tasks a stream and no task group: with a task for each of these concerns they took an eighth of the server's time a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["EventStream", "LastEvent"]

PING_SECONDS = 15  # the headers are sent long before
PING = b": ping\n\n"


class LastEvent(bytes):
    """An event, or several, after which the stream ends: its end is sent with them."""


class EventStream(Response):
    """A response of events. `at_end` is called however it ends: sent whole, client gone, or given up."""

    media_type = "text/event-stream"
    charset = "utf-8"

    def __init__(self, events: AsyncGenerator[bytes], at_end: Callable[[], object] | None = None) -> None:
        self.status_code = 200
        self.background = None
        self._events = events
        self._at_end = at_end
        # no proxy may keep pieces back, or give them to somebody else
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            while not (await asyncio.wait((sending, gone), timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED))[
                0
            ]:
                await send({"type": "http.response.body", "body": PING, "more_body": True})
            if sending.done():
                sending.result()
        finally:
            if self._at_end:
                self._at_end()
            sending.cancel()
            gone.cancel()
            await asyncio.wait((sending, gone))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events) as events:
            async for event in events:
                last = isinstance(event, LastEvent)
                await send({"type": "http.response.body", "body": event, "more_body": not last})
                if last:
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
