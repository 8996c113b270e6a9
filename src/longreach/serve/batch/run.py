"""Asking the questions of a batch.

Covers: several rows at once within one total budget, going on after a kill without paying again, rows that could not be asked. Does not
cover: where rows are asked (`batch.places`), one row (`batch.rows`), the files (`batch.questions`, `batch.answers`), how it looks
(`cli.batch`).

A row that the total leaves no room for stays unanswered and is asked the next time. What unanswered rows had spent before a kill is booked
first of all, so that the total is never passed.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longreach.options import Options
from longreach.runs import Budget
from longreach.runs.ledger import Amount
from longreach.runs.store import new_run_folder, runs_folder
from longreach.serve.batch.answers import AnswerFile
from longreach.serve.batch.places import OpenPlace, Place, here
from longreach.serve.batch.questions import Question, check_models
from longreach.serve.batch.rows import Row, begun_records
from longreach.serve.batch.standing import standing_of

__all__ = ["BatchOptions", "Summary", "run_batch"]


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch is asked. options: of each row. total: over all rows. rows: at once. again: statuses of rows to be asked again.

    place: where rows are asked.
    """

    options: Options
    total: Budget = field(default_factory=Budget)
    rows: int = 4
    again: tuple[str, ...] = ()
    place: OpenPlace = here


@dataclass(slots=True)
class Summary:
    """How far a batch is. `statuses`: of the answered rows. `spent`: in all, earlier processes included. `reason`: why rows are left."""

    total: int
    statuses: Counter[str]
    spent: Amount
    reason: str = ""

    @property
    def left(self) -> int:
        """Rows without an answer."""
        return self.total - sum(self.statuses.values())


Progress = Callable[[Mapping[str, Any], Summary], None]


async def run_batch(
    questions: list[Question], out: Path, options: BatchOptions, progress: Progress | None = None
) -> Summary:
    """Ask what is not answered in `out` yet, and write each answer there. Raises `UsageError` when the file cannot be used.

    progress: called with each row once it is written. Cancelling it leaves whole rows; the next call goes on from there.
    """
    with AnswerFile(out) as file:
        file.check(questions)
        check_models((each for each in questions if file.is_left(each, options.again)), options.options)
        file.forget(options.again)
        async with options.place(options.total, options.rows) as place:
            return await _Batch(questions, file, options, place, progress).ask_all()


class _Batch:
    def __init__(
        self,
        questions: list[Question],
        file: AnswerFile,
        options: BatchOptions,
        place: Place,
        progress: Progress | None,
    ) -> None:
        self._file = file
        self._options = options
        self._place = place
        self._progress = progress
        self._earlier = standing_of(questions, file)
        self._waiting = deque(self._earlier.waiting)
        self.summary = Summary(len(questions), self._earlier.statuses, Amount())

    async def ask_all(self) -> Summary:
        """Until every row is answered or the total leaves no room for another."""
        await self._place.book(self._earlier.spent)
        self.summary.spent = await self._place.spent()
        active: dict[asyncio.Task[str], Question] = {}
        no_room = ""
        try:
            while True:
                while self._waiting and not no_room and len(active) < self._options.rows:
                    question = self._waiting.popleft()
                    active[asyncio.create_task(self._ask(question))] = question
                if not active:
                    break
                done, _ = await asyncio.wait(active, return_when=asyncio.FIRST_COMPLETED)
                no_room = self._put_back({active.pop(task): task.result() for task in done})
        finally:
            for task in active:
                task.cancel()
            if active:
                await asyncio.wait(active)
        self.summary.reason = no_room
        return self.summary

    def _put_back(self, results: Mapping[Question, str]) -> str:
        """Rows that found no room wait again; why, unless a row has ended, which may have given something back."""
        for question in sorted((each for each, reason in results.items() if reason), key=lambda each: -each.number):
            self._waiting.appendleft(question)
        reasons = list(results.values())
        return reasons[0] if all(reasons) else ""

    # --- one row

    async def _ask(self, question: Question) -> str:
        """Answer a row and write it; or why there was no room for it in the total."""
        options = question.apply(self._options.options)
        earlier = self._earlier.begun.get(question.number, Amount())
        outcome = await self._place.ask(Row(question, options, self._run_of(question), earlier))
        if not outcome.no_room:
            self.summary.spent = await self._place.spent()
            self._write(question, outcome.values)
        return outcome.no_room

    def _run_of(self, question: Question) -> str:
        """The run of a question, noted before it spends anything; another one where an earlier one never began, or cannot be read."""
        run_id = self._file.runs.get(question.number)
        if run_id is None or not begun_records(runs_folder() / run_id):
            run_id = new_run_folder().name
            self._file.begin(question, run_id)
        return run_id

    def _write(self, question: Question, outcome: Mapping[str, Any]) -> None:
        row = {
            "row": question.number,
            "key": question.key,
            "id": question.id,
            "query": question.query,
            **{name: outcome[name] for name in ("status", "text", "reason", "confidence", "usage", "run_id")},
            "cost_usd": outcome["usage"].get("cost_usd"),
        }
        self._file.write(row)
        self.summary.statuses[str(outcome["status"])] += 1
        if self._progress:
            self._progress(row, self.summary)
