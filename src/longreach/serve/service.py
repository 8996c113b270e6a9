"""All that the routes share, opened and closed together.

Covers: putting the parts of a server together. Does not cover: what they do.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from longreach.models.session import acquire_session, release_session
from longreach.serve.contexts import ContextStore
from longreach.serve.instance_lock import lock_instance
from longreach.serve.intake import Intake
from longreach.serve.metrics import Metrics
from longreach.serve.models import ModelNames
from longreach.serve.rates import RateLimit, Rates
from longreach.serve.runner import Runner
from longreach.serve.settings import ServeSettings, state_place
from longreach.serve.siblings import Siblings
from longreach.serve.state import State, open_state
from longreach.serve.tracing import open_tracer

__all__ = ["Service", "Shared", "open_service"]

_log = logging.getLogger("longreach.serve")


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server."""

    settings: ServeSettings
    state: State
    contexts: ContextStore
    runner: Runner
    names: ModelNames
    rates: RateLimit
    intake: Intake
    metrics: Metrics
    siblings: Siblings


@dataclass(frozen=True, slots=True)
class Shared:
    """What the processes of one server share beside its state. secret: by which they know each other."""

    rates: RateLimit
    secret: str = field(repr=False)


@asynccontextmanager
async def open_service(settings: ServeSettings, shared: Shared | None = None) -> AsyncIterator[Service]:
    """A server's parts, ready; at the end runs are drained. `shared`: with other processes, whose supervisor holds the server's lock.
    Raises `StateError`, `MissingExtra`, `UsageError`.
    """
    lock = None if settings.process else lock_instance(settings)
    try:
        async with _opened(settings, shared or Shared(Rates(), "")) as service:
            yield service
    finally:
        if lock is not None:
            os.close(lock)


@asynccontextmanager
async def _opened(settings: ServeSettings, shared: Shared) -> AsyncIterator[Service]:
    tracer = open_tracer()
    state = await open_state(state_place(settings), settings.member)
    acquire_session()  # connections to models outlive the runs that use them
    try:
        metrics = Metrics(settings.metrics_folder if settings.process else None)
        contexts = ContextStore(settings, state)
        await contexts.open()
        runner = Runner(settings, state, contexts, metrics, tracer)
        await runner.recover()
        names = ModelNames(settings.models, settings.default_model, settings.strategy)
        siblings = Siblings(settings, shared.secret)
        if settings.process == 1 and (
            local := [*names.local, *(m for m in settings.fallback if m.startswith("local/"))]
        ):
            _log.warning(
                "each of the %d processes loads %s for itself, with memory and cores for each: one process may serve it faster",
                settings.processes,
                " and ".join(dict.fromkeys(local)),
            )
        try:
            yield Service(
                settings, state, contexts, runner, names, shared.rates, Intake(settings.bodies), metrics, siblings
            )
        finally:
            await runner.drain(settings.time.drain)
            await siblings.close()
    finally:
        await release_session()
        await state.close()
