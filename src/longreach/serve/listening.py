"""The address that a server answers at.

Covers: who may be let in before anything is bound, the listening sockets, their URL. Does not cover: taking connections (`serve.server`,
`serve.supervisor`).
"""

from __future__ import annotations

import asyncio
import socket

from longreach.errors import UsageError
from longreach.serve.settings import ServeSettings, is_loopback, state_place
from longreach.serve.state import open_state

__all__ = ["BACKLOG", "check_keys", "listen", "url_of"]

BACKLOG = 2_048


async def check_keys(settings: ServeSettings) -> None:
    """Raises `UsageError` when the address is open to others and there are no keys."""
    if is_loopback(settings.host):
        return
    state = await open_state(state_place(settings), settings.member)
    try:
        if not await state.has_keys():
            raise UsageError(
                f"{settings.host} is open to other machines and there are no API keys: make one with `longreach keys add NAME`, "
                "or serve on 127.0.0.1"
            )
    finally:
        await state.close()


async def listen(settings: ServeSettings) -> list[socket.socket]:
    """A listening socket for each address of the host. Raises `UsageError`."""
    host, port = settings.host, settings.port
    listening: list[socket.socket] = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            listening.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
    except OSError as error:
        for each in listening:
            each.close()
        raise UsageError(
            f"cannot serve on {host}:{port}: {error.strerror or error}; is another server there?"
        ) from None
    return listening


def url_of(listening: socket.socket) -> str:
    """Where it is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
