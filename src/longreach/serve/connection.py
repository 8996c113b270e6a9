"""One client's connection, as uvicorn speaks HTTP on it.

Covers: a response's head that goes out with the first piece of its body, clients that do not take what they asked for: such a connection is
closed, so that it holds no handler and no file. Does not cover: which connections there are (`serve.server`, `serve.process`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Connection", "ConnectionConfig"]

_log = logging.getLogger("longreach.serve")


class ConnectionConfig(uvicorn.Config):
    """uvicorn's, with the seconds that a client has to take what is ready for it."""

    def __init__(self, application: ASGIApp, send_seconds: float, **named: Any) -> None:
        super().__init__(application, http=Connection, **named)
        self.send_seconds = send_seconds


class Connection(HttpToolsProtocol):
    """uvicorn's, with a limit on how long it may be that nothing more can be sent."""

    config: ConnectionConfig
    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._out = _HeadWithBody(cast(asyncio.Transport, transport), self.loop)  # uvloop's is none by its type
        super().connection_made(self._out)

    def on_response_complete(self) -> None:
        """The last piece was written; another response may follow."""
        self._out.begins = True
        super().on_response_complete()

    def pause_writing(self) -> None:
        """There is more to be taken than the transport holds."""
        super().pause_writing()
        self._giving_up = self.loop.call_later(self.config.send_seconds, self._give_up)

    def resume_writing(self) -> None:
        """The client has taken nearly all."""
        self._end_giving_up()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        self._end_giving_up()
        super().connection_lost(exc)

    def _end_giving_up(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        _log.info("a client took nothing for %g seconds and was let go", self.config.send_seconds)
        self.transport.abort()


class _HeadWithBody(asyncio.Transport):
    """A transport that keeps a response's first bytes until the next ones are written, or the loop has turned.

    uvicorn writes a head by itself, and each writing costs a system call and wakes the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.begins = True  # the next bytes are a response's first

    def write(self, data: Any) -> None:
        """Write, now or soon."""
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif self.begins:
            self.begins = False
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Write what was kept, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close, and let go of all that was not sent."""
        self._head = b""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take nothing from the client."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take what comes."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport has it."""
        return self._transport.get_extra_info(name, default)
