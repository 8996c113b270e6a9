"""What the rest of a batch will probably take.

Covers: `longreach batch --dry-run`, of the rows that are not answered yet, within what is left of the total. Does not cover: the forecast
itself (`cli.forecasting`), which rows are left (`serve.batch`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from longreach.cli import amounts
from longreach.cli.forecasting import forecast_for_rows, print_forecast
from longreach.errors import ContextError, UsageError
from longreach.options import Options
from longreach.runs import Budget, Ledger
from longreach.runs.forecast import Forecast, Interval
from longreach.serve.batch import BatchOptions, Question, Standing
from longreach.serve.batch.rows import read_question_context

__all__ = ["print_batch_forecast"]


def print_batch_forecast(standing: Standing, options: BatchOptions, *, as_json: bool) -> None:
    """Read the context of each row that is left, and say what their answers will take. Raises `LongreachError`."""
    rows = _sized(standing.waiting, options.options)
    at_once = min(options.rows, len(rows))
    if not rows:
        _print_nothing_left(standing, as_json)
        return
    forecast = forecast_for_rows(rows)
    forecast = replace(forecast, seconds=forecast.seconds.divided(at_once))
    total = Ledger(options.total)
    total.book_spent(standing.spent)
    tokens = sum(size for _, size in rows)
    about: dict[str, Any] = {
        "questions": f"{len(rows):,}, {at_once} at once",
        "contexts": f"about {amounts.tokens(tokens)} tokens in all",
    }
    if standing.statuses:
        about["answered"] = f"{_answered(standing)}, and not counted here"
    if as_json:
        about = _counts(standing) | {"at_once": at_once, "context_tokens": tokens}
    print_forecast(forecast, about, total.remaining(), as_json=as_json)


def _sized(questions: Iterable[Question], options: Options) -> Sequence[tuple[Options, int]]:
    """The options of each row, and its context's estimated tokens."""
    known: dict[tuple[str, ...], int] = {}  # of paths that several rows share, read once
    rows = []
    for question in questions:
        try:
            own = question.apply(options)
            size = known.get(question.paths) if question.paths else None
            if size is None:
                size = known[question.paths] = read_question_context(question, own).estimated_tokens
        except (ContextError, UsageError) as error:
            raise UsageError(f"row {question.number}: {error}") from None
        rows.append((own, size))
    return rows


def _print_nothing_left(standing: Standing, as_json: bool) -> None:
    if as_json:
        nothing = Interval(0.0, 0.0, 0.0)
        none = Forecast(nothing, nothing, nothing, nothing, 0)
        print_forecast(none, _counts(standing), Budget(), as_json=True)
    else:
        print(f"answered  {_answered(standing)}\nNo row is left to be asked. Nothing was sent.")


def _answered(standing: Standing) -> str:
    number = standing.statuses.total()
    return f"{amounts.count(number, 'row')} ({', '.join(f'{n} {status}' for status, n in sorted(standing.statuses.items()))})"


def _counts(standing: Standing) -> dict[str, Any]:
    return {"questions": len(standing.waiting), "answered": dict(sorted(standing.statuses.items()))}
