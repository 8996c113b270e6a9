"""The ASGI application.

Covers: which path leads to which handler, authentication before it and errors after it, opening and closing the server's parts. Does not
cover: the handlers. Further routes (the page) come in through `create_application(settings, pages)`, after all others; a handler of theirs
finds the server's parts at `request.app.state.service`, and who asks by `serve.auth.identify`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from longreach.errors import LongreachError
from longreach.serve import other_routes
from longreach.serve.auth import identify
from longreach.serve.failures import ApiError, as_api_error, error_response
from longreach.serve.openapi import document
from longreach.serve.requests import ClientGone
from longreach.serve.routes import ROUTES, Handler
from longreach.serve.service import Service, Shared, open_service
from longreach.serve.settings import ServeSettings
from longreach.serve.siblings import from_sibling

__all__ = ["create_application"]

CLIENT_GONE = 499  # nobody reads it; it is for the metrics
_log = logging.getLogger("longreach.serve")


def create_application(
    settings: ServeSettings, pages: Sequence[BaseRoute] = (), shared: Shared | None = None
) -> Starlette:
    """The application; its parts are opened when the server starts it."""

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        async with open_service(settings, shared) as service:
            application.state.service = service
            yield

    return Application(
        routes=[
            *(Route(each.path, Endpoint(each.path, each.handler), methods=[each.method]) for each in ROUTES),
            Route("/healthz", _health),
            Route("/openapi.json", _openapi),
            *pages,
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error},
    )


class Application(Starlette):
    """Starlette, with a short way to those of our routes whose path is one alone.

    The long way has four layers, of which each is around every piece of a response: for errors, which an `Endpoint` answers itself.
    """

    def __init__(self, routes: Sequence[BaseRoute], **named: Any) -> None:
        super().__init__(routes=routes, **named)
        self._short = {
            (method, each.path): each.app
            for each in routes
            if isinstance(each, Route) and isinstance(each.app, Endpoint) and not each.param_convertors
            for method in each.methods or ()
            if method != "HEAD"
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's beginning and end."""
        if scope["type"] == "http" and (endpoint := self._short.get((scope["method"], scope["path"]))):
            scope["app"] = self
            await endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Endpoint:
    """A route's ASGI application: who asks is known before the handler, its errors are answered, and it is counted under `path`.

    Not a function of a request to a response: Starlette would lay its own handling of errors around each piece that one sends.
    """

    def __init__(self, path: str, handler: Handler) -> None:
        self._path = path
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = self._path
        service: Service = request.app.state.service
        started = time.perf_counter()
        try:
            response = await self._handler(request, service, await identify(request, service))
        except ClientGone:
            response = Response(status_code=CLIENT_GONE)
        except LongreachError as error:
            response = error_response(as_api_error(error))
        except Exception:  # noqa: BLE001 a bug is answered, and written to the log
            _log.exception("%s %s: a bug in Longreach", request.method, path)
            response = error_response(ApiError(500, "internal_error", "a bug in Longreach; the server's log has it"))
        if not from_sibling(request):  # who handed it on counts it
            service.metrics.request(path, request.method, response.status_code, time.perf_counter() - started)
        return response


async def _health(request: Request) -> Response:
    return await other_routes.health(request, request.app.state.service)


async def _openapi(request: Request) -> Response:
    return JSONResponse(document())


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    names = {404: "not_found", 405: "method_not_allowed"}
    told = ApiError(
        error.status_code, names.get(error.status_code, "error"), f"{request.method} {request.url.path}: {error.detail}"
    )
    response = error_response(told)
    response.headers.update(error.headers or {})
    return response
