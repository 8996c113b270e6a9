"""One pooled HTTP session for each event loop, shared by all models that are open on it.

Covers: opening it with the first user and closing it with the last, proxies from the environment. Does not cover: requests
(`models.http`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

__all__ = ["acquire_session", "proxy_for", "release_session"]

CONNECT_SECONDS = 15.0  # to look up the host, connect and shake hands


@dataclass
class _Shared:
    session: aiohttp.ClientSession
    users: int = 0


_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


def acquire_session() -> aiohttp.ClientSession:
    """The running loop's session. Each call must be matched by one `release_session` on the same loop."""
    loop = asyncio.get_running_loop()
    shared = _sessions.get(loop)
    if shared is None or shared.session.closed:
        shared = _sessions[loop] = _Shared(
            aiohttp.ClientSession(
                # Who calls decides how many calls are in flight (the run's concurrency); a second limit here would only hide it.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        )
    shared.users += 1
    return shared.session


async def release_session() -> None:
    """Give the running loop's session back; the last user closes it and its connections."""
    loop = asyncio.get_running_loop()
    shared = _sessions.get(loop)
    if shared is None:
        return
    shared.users -= 1
    if shared.users <= 0:
        _sessions.pop(loop, None)
        await shared.session.close()


def proxy_for(target: URL) -> URL | None:
    """The proxy that the environment names for this address; none for this machine's own, whatever the environment says.

    aiohttp's own `trust_env` is not used: it would also take passwords from ~/.netrc and send loopback traffic to the proxy.
    """
    host = target.host or ""
    if host == "localhost" or host == "::1" or host.startswith("127.") or proxy_bypass(host):
        return None
    proxy = getproxies().get(target.scheme)
    return URL(proxy) if proxy else None
