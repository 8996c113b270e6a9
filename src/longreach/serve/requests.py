"""Reading requests and noticing that a client has gone.

Covers: bodies within limits of size and time, waiting for a run or for the client's end. Does not cover: what bodies mean (`serve.bodies`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from longreach.runs.events import RunEnded
from longreach.serve.failures import ApiError
from longreach.serve.intake import Held
from longreach.serve.job import Job
from longreach.serve.settings import ServeSettings

__all__ = ["ClientGone", "body_pieces", "read_json", "wait_for_end"]


class ClientGone(Exception):
    """The client closed its connection; there is nobody to answer."""


async def body_pieces(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `ApiError` (408) when nothing comes for so long, `ClientGone`."""
    more = True
    while more:
        try:
            async with asyncio.timeout(seconds):
                message = await request.receive()
        except TimeoutError:
            raise ApiError(408, "body_timeout", f"nothing of the body came for {seconds:g} seconds") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        if piece := message.get("body", b""):
            yield piece
        more = message.get("more_body", False)


async def read_json(request: Request, settings: ServeSettings, held: Held) -> bytes:
    """A JSON body, counted in `held`. Raises `ApiError`: 415 for another type, 413 when it is too large, 408, 429."""
    most = settings.disk.body
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # a web page cannot send this type to another origin without being asked first
    if kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(415, "not_json", "the body must be JSON, with Content-Type: application/json")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    pieces: list[bytes] = []
    size = 0
    async for piece in body_pieces(request, settings.time.receive):
        size += len(piece)
        if size > most:
            raise _too_large(most)
        held.take(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(most: int) -> ApiError:
    return ApiError(413, "body_too_large", f"a request may have {most:,} bytes: upload long inputs to /v1/contexts")


async def wait_for_end(request: Request, job: Job) -> RunEnded:
    """The run's end; a client that goes away before it cancels the run. Raises `ClientGone`, and what ended the run out of order."""
    gone = asyncio.create_task(_disconnected(request))
    waiting = asyncio.create_task(job.wait())
    try:
        await asyncio.wait([gone, waiting], return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        raise ClientGone
    finally:
        gone.cancel()
        waiting.cancel()
        job.cancel()  # does nothing to a run that has ended


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
