"""Streaming clients that ask at once, as cheaply as Python can: the load of `perf.serve`.

Covers: clients that ask again and again, requests at fixed times whatever becomes of the earlier ones, what they saw. Does not cover: the
server, what is made of the figures (`perf.serve`). A request is one write, its response a search for its end: some 0.1 ms of this process.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Load", "ask_at_rate", "ask_in_turn", "request_bytes"]

CONTEXT = "A line of which there are many.\n" * 300
ANSWER = b'"content":"4711"'
END = b"data: [DONE]\n\n\r\n0\r\n\r\n"
LONGEST_SECONDS = 60.0


@dataclass
class Load:
    """What the clients saw. `seconds`: of each answered request; `first`: until its first event."""

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def request_bytes(url: str, strategy: str) -> bytes:
    """A streamed chat completion about some 10,000 characters."""
    messages = [{"role": "user", "content": CONTEXT}, {"role": "user", "content": "What is the number?"}]
    body = json.dumps({"model": f"{strategy}:mine/m", "messages": messages, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """A kept connection to the server, one request at a time."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self.first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        if not self.first and b"data: " in data:
            self.first = time.perf_counter()
        if self._waiting and (data.endswith(END) or b"".join(self._pieces[-2:]).endswith(END)):
            self._waiting.set_result(b"".join(self._pieces))
            self._waiting = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError(f"closed after {b''.join(self._pieces)[-300:]!r}"))

    async def ask(self, request: bytes) -> bytes:
        """The whole response. Raises `OSError`, `TimeoutError`."""
        assert self._transport is not None
        self._pieces.clear()
        self.first = 0.0
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(LONGEST_SECONDS):
            return await self._waiting


async def _connect(url: str) -> _Connection:
    address = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(
        _Connection, address.hostname or "", address.port or 0
    )
    return connection


async def _ask(connection: _Connection, request: bytes, began: float, load: Load) -> bool:
    try:
        response = await connection.ask(request)
    except (OSError, TimeoutError) as error:
        load.errors.append(repr(error))
        return False
    if ANSWER not in response:
        load.errors.append(repr(response[-300:]))
        return True
    load.first.append(connection.first - began)
    load.seconds.append(time.perf_counter() - began)
    return True


async def ask_in_turn(url: str, request: bytes, clients: int, seconds: float, pause: float) -> Load:
    """So many clients for so long; each asks, reads to the end, waits `pause` seconds and asks again. Their beginnings are spread evenly
    over the pause, or over a second, and so are their requests as long as answers take equally long.
    """
    load = Load()
    until = time.perf_counter() + seconds

    async def one(number: int) -> None:
        await asyncio.sleep(number / clients * max(pause, 1.0))
        connection = await _connect(url)
        while time.perf_counter() < until:
            if not await _ask(connection, request, time.perf_counter(), load):
                connection = await _connect(url)
            await asyncio.sleep(pause)

    await asyncio.gather(*(one(number) for number in range(clients)))
    return load


async def ask_at_rate(url: str, request: bytes, rate: float, seconds: float) -> Load:
    """`rate` requests a second for so long, each at its own time, however many are open. Times count from when a request was due."""
    load = Load()
    idle: list[_Connection] = []

    async def one(due: float) -> None:
        connection = idle.pop() if idle else await _connect(url)
        if await _ask(connection, request, due, load):
            idle.append(connection)

    began = time.perf_counter()
    open_requests: set[asyncio.Task[None]] = set()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(due))
        open_requests.add(task)
        task.add_done_callback(open_requests.discard)
    if open_requests:
        await asyncio.wait(open_requests)
    return load
