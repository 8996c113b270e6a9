"""Which path leads to which handler.

Covers: the table, with what the OpenAPI document says of each route beyond its handler's docstring. Does not cover: the handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from longreach.serve import context_routes, other_routes, run_routes, text_routes
from longreach.serve.bodies import ChatBody, ResumeBody, RunBody
from longreach.serve.chat import chat_completions
from longreach.serve.runner import Asker
from longreach.serve.service import Service
from longreach.viewer.texts import HEAD_CHARS, MOST_HEADS, MOST_QUERY

__all__ = ["ROUTES", "Handler", "Operation"]

Handler = Callable[[Request, Service, Asker], Awaitable[Response]]
Schema = Mapping[str, Any]
EVENTS = "text/event-stream"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. body: its JSON body; raw: its body is bytes. query: its parameters and their schemas. answer: the schema of its JSON."""

    method: str
    path: str
    handler: Handler
    body: type[BaseModel] | None = None
    raw: bool = False
    query: tuple[tuple[str, Schema], ...] = ()
    status: int = 200
    types: tuple[str, ...] = (JSON,)
    answer: Schema | None = None


TEXT: Schema = {"type": "string"}
HASHES = {"type": "string", "description": f"at most {MOST_HEADS} hashes, with commas between them"}
SOUGHT = {"type": "string", "maxLength": MOST_QUERY}
BY_HASH = {"type": "object", "propertyNames": {"pattern": "^[0-9a-f]{64}$"}}
BEGINNINGS = BY_HASH | {"additionalProperties": {"type": "string", "maxLength": HEAD_CHARS}}
TIMES = BY_HASH | {"additionalProperties": {"type": "integer", "minimum": 1}}
RUN = "/v1/runs/{run_id}"
ROUTES: tuple[Operation, ...] = (
    Operation("POST", "/v1/chat/completions", chat_completions, ChatBody, types=(JSON, EVENTS)),
    Operation("GET", "/v1/models", other_routes.list_models),
    Operation("POST", "/v1/contexts", context_routes.upload_context, raw=True, query=(("name", TEXT),), status=201),
    Operation("GET", "/v1/contexts", context_routes.list_contexts),
    Operation("DELETE", "/v1/contexts/{context_id}", context_routes.delete_context),
    Operation("POST", "/v1/runs", run_routes.start_run, RunBody, status=202),
    Operation("GET", "/v1/runs", run_routes.list_runs, query=(("limit", {"type": "integer"}), ("before", TEXT))),
    Operation("GET", RUN, run_routes.show_run),
    Operation("GET", f"{RUN}/events", run_routes.run_events, types=(EVENTS,)),
    Operation("GET", f"{RUN}/journal", run_routes.run_journal, types=("application/x-ndjson",)),
    Operation("GET", f"{RUN}/texts/{{sha256}}", run_routes.run_text, types=("text/plain",)),
    Operation("GET", f"{RUN}/heads", text_routes.run_heads, query=(("of", HASHES),), answer=BEGINNINGS),
    Operation("GET", f"{RUN}/search", text_routes.search_run, query=(("q", SOUGHT),), answer=TIMES),
    Operation("POST", f"{RUN}/cancel", run_routes.cancel_run),
    Operation("POST", f"{RUN}/resume", run_routes.resume_run, ResumeBody, status=202),
    Operation("GET", "/metrics", other_routes.metrics, types=("text/plain",)),
)
