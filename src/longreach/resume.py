"""Going on with a run that ended before its answer.

Covers: opening the context, the models and the journal of an earlier run again, from its journal alone. Does not cover: how what was
done already is recognised (`runs.replay`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from longreach import event_loop
from longreach.api import Before, answer_in
from longreach.context import Context, Part, ReadOptions, read_context
from longreach.errors import JournalError, UsageError
from longreach.options import Options, options_of
from longreach.runs import Answer, Budget, Record, read_journal
from longreach.runs.events import RunEnded, RunOpened, RunStarted
from longreach.runs.replay import Recording
from longreach.runs.store import ROOT_BRANCH, find_run

__all__ = ["aresume", "resume"]


async def aresume(
    run_id: str,
    budget: Budget | None = None,
    options: Options | None = None,
    context: Context | None = None,
    *,
    speculate: str | int | None = None,
) -> Answer:
    """Go on with the run `run_id` (or the beginning of its id, or 'last'). What was answered is not paid again.

    budget: a new one for the whole run, what is spent already included; by default the run's own.
    options: only its `listener` and `progress` are used, and its models where they were objects of the caller's own.
    context: the run's, where the caller has it; by default it is read again.
    speculate: as in `Settings`; by default as the run had it.
    Raises `JournalError` when the run is complete, its journal cannot be read, or its context has changed; `ModelError`.
    """
    folder = find_run(run_id)
    records = list(read_journal(folder))
    opened, started = _beginning(records, folder.name)
    chosen = options_of(opened, started, options or Options())
    context = await asyncio.to_thread(_context, opened, started, chosen.read, context)
    settings = chosen.settings if speculate is None else replace(chosen.settings, speculate=speculate)
    chosen = replace(chosen, budget=budget or chosen.budget, settings=settings)
    return await answer_in(lambda: folder, started.query, context, chosen, Before(Recording(records)))


def resume(run_id: str, budget: Budget | None = None, options: Options | None = None) -> Answer:
    """`aresume`, for code without an event loop."""
    return event_loop.run(aresume(run_id, budget, options))


def _beginning(records: list[Record], run_id: str) -> tuple[RunOpened, RunStarted]:
    opened = started = None
    for record in records:
        event = record.event
        if event.branch != ROOT_BRANCH:
            continue
        if isinstance(event, RunOpened):
            opened = event
        elif isinstance(event, RunStarted):
            started = event
        elif isinstance(event, RunEnded) and event.status == "complete":
            raise JournalError(f"the run {run_id} is complete: `longreach show {run_id}` has its answer")
    if opened is None or started is None:
        raise JournalError(f"the run {run_id} ended before it began: ask again instead")
    if opened.options.get("earlier"):
        raise JournalError(
            f"the run {run_id} answered a later question of a chat, whose REPL is gone: ask again in a new chat"
        )
    return opened, started


def _context(opened: RunOpened, started: RunStarted, read: ReadOptions, given: Context | None) -> Context:
    recorded = started.context
    if given is None and "text" in recorded:
        parts = tuple(Part(*each) for each in recorded["places"])
        return Context(recorded["text"], parts)
    if given is None and not opened.sources:
        raise UsageError("the journal names no source of the context: ask again instead")
    context = given or read_context(list(opened.sources), read)
    if context.sha256 != recorded["sha256"]:
        raise JournalError(
            f"the context has changed since the run began ({', '.join(opened.sources[:3])}): ask again instead, "
            "since answers about the old text would be mixed with the new one"
        )
    return context
