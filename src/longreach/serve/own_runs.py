"""The run that a request names.

Covers: finding it among the asker's own, its folder, what is said when there is none. Does not cover: what is done with it
(`serve.run_routes`, `serve.text_routes`).
"""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request

from longreach.runs.store import runs_folder
from longreach.serve.failures import ApiError
from longreach.serve.runner import Asker
from longreach.serve.service import Service
from longreach.serve.state import RunRow

__all__ = ["checked_id", "folder_of", "no_run", "own_run"]

_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{1,12}")


async def own_run(request: Request, service: Service, asker: Asker) -> RunRow:
    """The run that the path names, if it is the asker's. Raises `ApiError` (404), the same for somebody else's."""
    run_id = checked_id(request.path_params["run_id"])
    row = await service.state.run(run_id, asker.owner)
    if row is None:
        raise no_run(run_id)
    return row


def checked_id(run_id: str) -> str:
    """The same, when it has the form of a run's id. Raises `ApiError` (404)."""
    if not _RUN_ID.fullmatch(run_id):
        raise no_run(run_id)
    return run_id


def no_run(run_id: str) -> ApiError:
    """What is said of a run that there is not."""
    shown = run_id[:80].encode("unicode_escape").decode("ascii")
    return ApiError(404, "run_not_found", f"you have no run '{shown}': GET /v1/runs lists those you have")


def folder_of(row: RunRow) -> Path:
    """Where its journal is."""
    return runs_folder() / row.id
