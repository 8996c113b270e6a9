"""How far a batch is, by its files.

Covers: which questions are left, how the others ended, what was spent, by runs that were cut off too. Does not cover: reading the answers
(`batch.answers`), asking (`batch.run`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from longreach.runs.ledger import Amount
from longreach.runs.store import runs_folder
from longreach.serve.batch.answers import Answers
from longreach.serve.batch.questions import Question
from longreach.serve.batch.rows import begun_records
from longreach.serve.spending import spent_in, spent_of

__all__ = ["Standing", "standing_of"]


@dataclass(frozen=True, slots=True)
class Standing:
    """waiting: the questions without an answer, in order. statuses: of the answered ones.

    spent: by all runs, those of rows that are asked again included. begun: the part of it that runs of waiting questions have spent,
    by the question's number.
    """

    waiting: tuple[Question, ...]
    statuses: Counter[str]
    spent: Amount
    begun: Mapping[int, Amount]


def standing_of(questions: Iterable[Question], answers: Answers) -> Standing:
    """How far the batch of these questions is."""
    waiting = tuple(each for each in questions if answers.is_left(each))
    begun = {}
    for question in waiting:
        run_id = answers.runs.get(question.number)
        if run_id and (records := begun_records(runs_folder() / run_id)):
            begun[question.number] = spent_in(records)
    rows = answers.answered.values()
    ended = (spent_of(row["usage"]) for row in (*rows, *answers.taken_out))
    spent = sum((*ended, *begun.values()), Amount())
    return Standing(waiting, Counter(str(row["status"]) for row in rows), spent, begun)
