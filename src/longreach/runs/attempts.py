"""One call to a model from its reservation to its settlement.

Covers: the events of a call that is really sent, what is booked for it whatever happens to it, and calls that the code has not made yet.
Does not cover: which calls are made and when (`runs.calls`), retries as such (`models.retry`).

Each request that is sent has an event of its own, written before it is sent: also in a run that was resumed and sends it once more. So
what is booked for it is the same in all processes that go on with the run.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from longreach.errors import BudgetSpent, ModelError
from longreach.models.base import Completion, Model, Request
from longreach.models.prices import most_cost
from longreach.models.tokens import bound_schema_tokens
from longreach.runs.ahead import EarlyAnswer
from longreach.runs.events import CallFailed, CallRetried
from longreach.runs.journal import Journal
from longreach.runs.ledger import Amount, Ledger, Reservation
from longreach.runs.requests import Asked, answered_event, ended_event, started_as
from longreach.runs.totals import Totals

if TYPE_CHECKING:
    from longreach.runs.run import Progress

__all__ = ["Attempt", "CallRecord", "EarlyAttempt", "bound", "bound_of"]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Where one run's calls are recorded and paid."""

    branch: str
    journal: Journal
    ledger: Ledger
    totals: Totals
    progress: Progress | None


def bound(model: Model, input_tokens: int, output_tokens: int) -> Amount:
    """The most that one call of these sizes can use."""
    usd = most_cost(model.price, input_tokens, output_tokens) if model.price else Decimal(0)
    return Amount(1, input_tokens + output_tokens, usd)


def bound_of(model: Model, request: Request) -> Amount:
    """The most that this request can use."""
    schema = bound_schema_tokens(request.json_schema)
    return bound(model, model.bound_tokens(request.messages) + schema, request.max_tokens)


class Attempt:
    """One call that the code or the root's turn has made; the model's observer meanwhile."""

    def __init__(self, record: CallRecord, asked: Asked, reservation: Reservation, waited: float = 0.0) -> None:
        self._waited = waited
        self._record = record
        self._asked = asked
        self._reservation = reservation

    async def make(self, seconds: float | None) -> Completion:
        """Send it, and book what it used whatever happens."""
        try:
            self._record_start()
        except BaseException:
            self._reservation.release()
            raise
        try:
            async with nullcontext() if seconds is None else asyncio.timeout(seconds):
                completion = await self._asked.model.generate(self._asked.request, self)
        except TimeoutError:
            self._fail("BudgetSpent", "the time of the run's budget is up", possibly_charged=True)
            raise BudgetSpent("seconds", "the budget's seconds are spent: a call had to be broken off") from None
        except ModelError as error:
            self._fail(type(error).__name__, str(error), error.possibly_charged)
            raise
        except BaseException as error:
            self._fail(
                type(error).__name__, "cancelled" if isinstance(error, asyncio.CancelledError) else str(error), True
            )
            raise
        self._end(completion)
        return completion

    def _record_start(self) -> None:
        self._record.journal.append_new(
            self._asked.started(self._record.branch, self._reservation.amount, self._waited)
        )

    def _record_end(self, completion: Completion, cost: Decimal | None) -> None:
        self._record.journal.append_new(ended_event(self._record.branch, self._asked.name, completion, cost))

    def _end(self, completion: Completion) -> None:
        model = self._asked.model
        cost = model.price.cost(completion.usage) if model.price else None
        self._reservation.settle(Amount(1, completion.usage.total_tokens, cost or Decimal(0)))
        self._record.totals.call(model.name, completion.usage, cost)
        self._record_end(completion, cost)

    def _fail(self, error: str, message: str, possibly_charged: bool) -> None:
        # what was sent before a retry is booked already; where none could be reserved, nothing has been sent since
        possibly_charged = possibly_charged and self._reservation.open
        self._book_failure(possibly_charged)
        failed = CallFailed(self._record.branch, self._asked.name, error, message, possibly_charged)
        self._record.journal.append_new(failed)

    def _book_failure(self, possibly_charged: bool) -> None:
        if possibly_charged:
            self._reservation.settle_in_full()
            self._record.totals.unconfirmed(self._reservation.amount.usd)
        else:
            self._reservation.release()

    # --- what the model tells

    def text(self, delta: str) -> None:
        """A piece of the reply has arrived."""
        if self._record.progress:
            self._record.progress.text(self._record.branch, self._asked.name, delta)

    def reasoning(self, delta: str) -> None:
        """A piece of the reasoning has arrived; nobody shows it yet while it streams."""

    async def retrying(self, error: ModelError, delay: float) -> None:
        """An attempt failed: book it if it may be charged, and reserve the next one."""
        name, kind = self._asked.name, type(error).__name__
        event = CallRetried(self._record.branch, name, kind, str(error), round(delay, 3), error.possibly_charged)
        self._record.journal.append_new(event)
        if error.possibly_charged:
            self._book_failure(possibly_charged=True)
            self._reservation = await self._record.ledger.reserve(bound_of(self._asked.model, self._asked.request))


class EarlyAttempt(Attempt):
    """One call that the code has not made: recorded as such until it is known what becomes of it. It is tried once."""

    answer: EarlyAnswer | None = None

    def _record_start(self) -> None:
        self._begun = self._asked.begun(self._record.branch, self._reservation.amount)
        self._record.totals.foreseen()
        self._record.journal.append_new(self._begun)

    def _record_end(self, completion: Completion, cost: Decimal | None) -> None:
        answered = answered_event(self._record.branch, self._asked.name, completion, cost)
        self._record.totals.foreseen_answered(completion.usage.total_tokens, cost)
        self.answer = EarlyAnswer(completion, cost, self._begun, answered)
        self._record.journal.append_new(answered)

    def _fail(self, error: str, message: str, possibly_charged: bool) -> None:
        self._record.journal.append_new(started_as(self._begun, self._begun.call, self._asked.purpose))
        super()._fail(error, message, possibly_charged)

    def text(self, delta: str) -> None:
        """Nobody watches what may never be used."""

    async def retrying(self, error: ModelError, delay: float) -> None:
        """Leave it: the code's own call tries again, if it is ever made."""
        raise error
