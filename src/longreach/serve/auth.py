"""Who makes a request.

Covers: API keys, and requests without one from this machine. Does not cover: what a key may spend (`serve.state`).

Without any key in the database only this machine is let in, and not a web page open on it: such a page could send requests here under a
name that it has pointed at 127.0.0.1 (DNS rebinding), or from its own origin.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request

from longreach.serve.failures import ApiError
from longreach.serve.keys import hash_key
from longreach.serve.runner import Asker
from longreach.serve.service import Service
from longreach.serve.settings import is_loopback
from longreach.serve.siblings import from_sibling

__all__ = ["identify"]

LONGEST_URL = 300  # of a Host or Origin: no name of a host is longer
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


async def identify(request: Request, service: Service) -> Asker:
    """Whose request it is; counts it, unless the process that handed it on did. Raises `ApiError`: 401, 403, 429."""
    secret = _bearer(request)
    if secret:
        key = await service.state.key_by_hash(hash_key(secret))
        if key is not None:
            if key.limits.requests_per_minute is not None and not from_sibling(request):
                service.rates.take(key.id, key.limits.requests_per_minute)
            return Asker(key)
    if await service.state.has_keys():
        told = (
            "this API key is not known here, or was revoked"
            if secret
            else "an API key is needed: Authorization: Bearer lr-..."
        )
        raise ApiError(401, "invalid_api_key", told)
    if not from_sibling(request):
        _check_local(request)
    return Asker()


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _check_local(request: Request) -> None:
    client = request.client.host if request.client else ""
    origin = request.headers.get("origin")
    problem = ""
    if not is_loopback(client) or any(name in request.headers for name in PROXY_HEADERS):
        problem = "it comes from another machine"
    elif not is_loopback(_host(f"//{request.headers.get('host', '')}")):
        problem = "its Host is not this machine"
    elif origin is not None and not is_loopback(_host(origin)):
        problem = "it comes from a web page"
    if problem:
        raise ApiError(
            403,
            "no_keys",
            f"this server has no API keys, so it answers this machine alone, and {problem}: longreach keys add NAME",
        )


def _host(url: str) -> str:
    return _parsed_host(url) if len(url) <= LONGEST_URL else ""


@lru_cache(1_000)  # mostly they are the same
def _parsed_host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
