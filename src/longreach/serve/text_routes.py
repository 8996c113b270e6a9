"""`/v1/runs/ID/heads` and `/search`: the long texts of a run without reading them whole.

Covers: the HTTP side of it, which the page uses. Does not cover: the texts (`longreach.viewer.texts`), one text in full
(`serve.run_routes`).
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from longreach.serve.own_runs import folder_of, own_run
from longreach.serve.runner import Asker
from longreach.serve.service import Service
from longreach.viewer.texts import find, heads

__all__ = ["run_heads", "search_run"]


async def run_heads(request: Request, service: Service, asker: Asker) -> Response:
    """The beginnings of stored texts. `of` has their hashes, with commas between them; those that are not there are left out."""
    folder = folder_of(await own_run(request, service, asker))
    return JSONResponse(await asyncio.to_thread(heads, folder, request.query_params.get("of", "").split(",")))


async def search_run(request: Request, service: Service, asker: Asker) -> Response:
    """In which stored texts `q` is found, by their hashes, and how often. Upper and lower case are the same."""
    folder = folder_of(await own_run(request, service, asker))
    return JSONResponse(await asyncio.to_thread(find, folder, request.query_params.get("q", "")))
