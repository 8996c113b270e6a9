"""A model server that takes next to no time of its own: `python -m perf.load_model SECONDS` prints its base URL.

Covers: streamed replies to two kinds of requests, SECONDS after each came; that of an RLM's second step to a conversation that has a reply
in it. Does not cover: anything else of the protocol (`longreach.models.scripted_server`). It shares the machine with the server that is
measured, so each request is one look for its end and one write.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import ClassVar

from longreach import event_loop

__all__ = ["main"]

DIRECT = "4711"
FIRST_STEP = "```repl\nprint(context[-40:])\n```"
LAST_STEP = "```repl\nFINAL('4711')\n```"


def _reply(text: str) -> bytes:
    def event(**values: object) -> bytes:
        return b"data: " + json.dumps({"id": "x", "object": "chat.completion.chunk", **values}).encode() + b"\n\n"

    usage = {"prompt_tokens": 2_400, "completion_tokens": 12, "total_tokens": 2_412}
    body = event(choices=[{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}])
    body += event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    body += event(choices=[], usage=usage) + b"data: [DONE]\n\n"
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class _Connection(asyncio.Protocol):
    """One kept connection; requests come one after another."""

    replies: ClassVar = {
        name: _reply(text) for name, text in (("direct", DIRECT), ("first", FIRST_STEP), ("last", LAST_STEP))
    }
    seconds = 0.2

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._data = b""
        kind = "direct"
        if b"repl" in body:  # the prompts of an RLM
            kind = "last" if b'"assistant"' in body else "first"
        asyncio.get_running_loop().call_later(self.seconds, self._transport.write, self.replies[kind])  # type: ignore[attr-defined]


async def _serve(seconds: float) -> None:
    _Connection.seconds = seconds
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=2_048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    """Serves until it is killed."""
    event_loop.run(_serve(float(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
