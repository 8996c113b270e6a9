"""The small routes: models, health, metrics.

Covers: `/v1/models`, `/healthz`, `/metrics`. Does not cover: what is counted (`serve.metrics`).
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from longreach.serve.failures import StateError
from longreach.serve.metrics import CONTENT_TYPE
from longreach.serve.runner import Asker
from longreach.serve.service import Service

__all__ = ["health", "list_models", "metrics"]


async def list_models(request: Request, service: Service, asker: Asker) -> Response:
    """Every name that can be asked for and is known here; names that fit a pattern of the server's are not all listed."""
    names = await asyncio.to_thread(service.names.listing)
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "longreach"} for name in names]
    return JSONResponse({"object": "list", "data": data})


async def health(request: Request, service: Service) -> Response:
    """200 while the server takes work; 503 while it shuts down or its database is out of reach. Of several processes the one that answers
    says which others do not: they are being started again.
    """
    if service.runner.draining:
        return JSONResponse({"status": "shutting down"}, 503)
    try:
        await service.state.check()
    except StateError:
        return JSONResponse({"status": "the database is out of reach"}, 503)
    settings = service.settings
    if not settings.process:
        return JSONResponse({"status": "ok"})
    down = await service.siblings.down()
    values = {"process": settings.process, "processes": settings.processes, "down": down}
    return JSONResponse({"status": "degraded" if down else "ok", **values})


async def metrics(request: Request, service: Service, asker: Asker) -> Response:
    """For Prometheus."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE)
