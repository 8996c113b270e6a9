"""`/v1/runs`: starting, listing, following, cancelling and resuming runs, and their journals.

Covers: the HTTP side of it; every route sees the asker's own runs alone. Does not cover: the work (`serve.runner`), journals
(`serve.journals`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from longreach.errors import JournalError
from longreach.runs import read_journal
from longreach.runs.events import RunEnded, RunResumed, RunStarted
from longreach.runs.store import ROOT_BRANCH
from longreach.serve.bodies import BudgetBody, ResumeBody, RunBody, read_body
from longreach.serve.budgets import wanted_budget
from longreach.serve.chat import plan_of
from longreach.serve.conversation import question_of_run
from longreach.serve.event_stream import EventStream
from longreach.serve.failures import ApiError, scrub
from longreach.serve.job import Job
from longreach.serve.journals import follow, stored_text
from longreach.serve.own_runs import checked_id, folder_of, no_run, own_run
from longreach.serve.requests import read_json
from longreach.serve.runner import Asker
from longreach.serve.service import Service
from longreach.serve.siblings import Sibling, from_sibling
from longreach.serve.state import RunRow
from longreach.serve.state.values import ACTIVE

__all__ = [
    "cancel_run",
    "list_runs",
    "resume_run",
    "run_events",
    "run_journal",
    "run_text",
    "show_run",
    "start_run",
]

PAGE = 100


async def start_run(request: Request, service: Service, asker: Asker) -> Response:
    """Begin a run and answer at once; it goes on whether or not the client stays."""
    settings = service.settings
    with service.intake.body() as held:
        body = read_body(await read_json(request, settings, held), RunBody)
        choice = service.names.read(body.model)
        question = await question_of_run(body, asker.owner, service.contexts)
        job = await service.runner.start(asker, plan_of(question, choice, body, settings))
        held.until(job.task)
    return await _shown(job.run_id, service, asker, 202)


async def list_runs(request: Request, service: Service, asker: Asker) -> Response:
    """The newest runs; `before` is the id that the next page begins after."""
    limit = _number(request.query_params.get("limit", str(PAGE)), "limit", 1, PAGE)
    before = request.query_params.get("before")
    rows = await service.state.runs(asker.owner, limit + 1, checked_id(before) if before else None)
    working = set(service.runner.working())
    if any(_sibling(row, request, service) for row in rows):
        working |= await service.siblings.working()
    data = [_json(row, working=row.id in working) for row in rows[:limit]]
    return JSONResponse({"object": "list", "data": data, "has_more": len(rows) > limit})


async def show_run(request: Request, service: Service, asker: Asker) -> Response:
    """One run, with its answer once it has one."""
    row = await own_run(request, service, asker)
    if sibling := _sibling(row, request, service):
        return await sibling.forward(request)
    return await _shown(row.id, service, asker, 200)


async def cancel_run(request: Request, service: Service, asker: Asker) -> Response:
    """End a run, its calls and its child runs; answers when it has ended. A run that has ended already stays as it is."""
    row = await own_run(request, service, asker)
    if sibling := _sibling(row, request, service):
        return await sibling.forward(request)
    job = service.runner.job(row.id, asker.owner)
    if job is not None:
        job.cancel()
        await job.over.wait()
    return await _shown(row.id, service, asker, 200)


async def resume_run(request: Request, service: Service, asker: Asker) -> Response:
    """Go on with a run that was interrupted, cancelled, or ran out of budget. What was answered is not paid again."""
    settings = service.settings
    row = await own_run(request, service, asker)
    with service.intake.body() as held:
        data = await read_json(request, settings, held)
        body = read_body(data or b"{}", ResumeBody)
    if sibling := _sibling(row, request, service):
        return await sibling.forward(request, data)
    choice = service.names.read(row.model)
    own = await asyncio.to_thread(_own_budget, row) if body.budget is None else None
    budget = wanted_budget(own or body.budget, settings.budget)
    job = await service.runner.resume(asker, row, choice, budget)
    return await _shown(job.run_id, service, asker, 202)


async def run_events(request: Request, service: Service, asker: Asker) -> Response:
    """The journal's events as server-sent events, from the beginning or after `Last-Event-ID`, until the run ends."""
    row = await own_run(request, service, asker)
    after = _number(request.headers.get("last-event-id", "-1"), "Last-Event-ID", -1, 1 << 53)
    if sibling := _sibling(row, request, service):
        return await sibling.forward(request)
    job = service.runner.job(row.id, asker.owner)
    return EventStream(_events(folder_of(row), job, after))


async def run_journal(request: Request, service: Service, asker: Asker) -> Response:
    """The journal as JSON lines, as far as it has got. Longer texts are named by their hash; see `run_text`."""
    row = await own_run(request, service, asker)

    async def lines() -> AsyncIterator[bytes]:
        async for line in follow(folder_of(row), None):
            yield line.data + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def run_text(request: Request, service: Service, asker: Asker) -> Response:
    """A text that the journal names by its hash. It is sent as plain text and nothing else: a model or a user wrote it."""
    row = await own_run(request, service, asker)
    path = stored_text(folder_of(row), request.path_params["sha256"])
    headers = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox; default-src 'none'"}
    return FileResponse(path, media_type="text/plain; charset=utf-8", headers=headers)


# --- inside


async def _events(folder: Path, job: Job | None, after: int) -> AsyncGenerator[bytes]:
    async for line in follow(folder, job, after):
        yield b"id: %d\nevent: %s\ndata: %s\n\n" % (line.seq, line.kind.encode(), line.data)


def _sibling(row: RunRow, request: Request, service: Service) -> Sibling | None:
    """The other process of this server that works on the run, if one does."""
    return service.siblings.at(row.instance) if row.status == ACTIVE and not from_sibling(request) else None


def _own_budget(row: RunRow) -> BudgetBody | None:
    """The budget that the run began with; None when its journal does not say."""
    try:
        for record in read_journal(folder_of(row)):
            if isinstance(record.event, RunStarted):
                return BudgetBody.model_validate(record.event.budget)
    except JournalError as error:
        raise ApiError(409, "journal_lost", str(error)) from error
    return None


async def _shown(run_id: str, service: Service, asker: Asker, status: int) -> Response:
    row = await service.state.run(run_id, asker.owner)
    if row is None:
        raise no_run(run_id)
    job = service.runner.job(run_id, asker.owner)
    answer = await asyncio.to_thread(_answer, folder_of(row)) if job is None else None
    return JSONResponse(_json(row, working=job is not None and job.working) | {"answer": answer}, status)


def _json(row: RunRow, *, working: bool) -> dict[str, Any]:
    status = row.status
    if status == ACTIVE:
        status = "running" if working else "queued"
    return {
        "object": "run",
        "id": row.id,
        "created": row.created,
        "model": row.model,
        "query": row.query,
        "status": status,
        "reason": scrub(row.reason),
        "cost_usd": f"{row.spending.usd.normalize():f}",
        "tokens": row.spending.tokens,
    }


def _answer(folder: Path) -> dict[str, Any] | None:
    """The last end of the run that its journal has."""
    found: RunEnded | None = None
    try:
        for record in read_journal(folder):
            if record.event.branch == ROOT_BRANCH and isinstance(record.event, RunEnded | RunResumed):
                found = record.event if isinstance(record.event, RunEnded) else None
    except JournalError:
        return None
    if found is None:
        return None
    return {
        "text": found.text,
        "status": found.status,
        "reason": scrub(found.reason),
        "confidence": found.confidence,
        "usage": dict(found.usage),
    }


def _number(text: str, name: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most or len(text) > 20:
        raise ApiError(400, "invalid_request", f"{name} must be a whole number from {least} to {most}", param=name)
    return value
