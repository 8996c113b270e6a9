"""The page at `/`: a key's runs, and one of them as a tree.

Covers: the page and its files. Does not cover: the page itself (`longreach.viewer`), what it shows: that comes from the API
(`serve.run_routes`, `serve.text_routes`), to who has the key. The page is for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from longreach.viewer.document import page_file, served_page
from longreach.viewer.policy import HEADERS

__all__ = ["page_routes"]


def page_routes() -> Sequence[BaseRoute]:
    """The routes that `create_application` takes as `pages`."""
    return [Route("/", _page), Route("/page/{name}", _file)]


async def _page(request: Request) -> Response:
    return HTMLResponse(served_page("serve"), headers=HEADERS)


async def _file(request: Request) -> Response:
    file = page_file(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    return Response(file.data, media_type=file.type, headers=HEADERS)
