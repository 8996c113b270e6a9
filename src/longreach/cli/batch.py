"""`longreach batch`: many questions, their answers in a file.

Covers: its options, a line for each answered row, the exit status. Does not cover: asking (`longreach.serve.batch`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longreach.cli import values
from longreach.cli.interrupt import Interrupts
from longreach.cli.options import add_ask_options, add_total_budget_options, ask_options, total_budget
from longreach.cli.untrusted import clean, one_line
from longreach.errors import UsageError

if TYPE_CHECKING:
    from longreach.options import Options
    from longreach.runs import Budget
    from longreach.serve.batch import Question, Summary

__all__ = ["register", "run"]

COMPLETE, NONE_COMPLETE, PARTIAL = 0, 1, 3
EPILOG = """\
a row of QUESTIONS is {"query": "...", "paths": ["a.txt", "folder/"]} or {"query": "...", "context": "text"},
with "id" and "options" ({"model": "...", "usd": 0.50}) where wanted; paths are relative to the file's folder.
exit status: 0 every row has a complete answer, 3 some have not, 1 none has, 2 wrong usage"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the sub-command."""
    parser = commands.add_parser(
        "batch",
        help="answer many questions from a file",
        description="Answer the questions of a file. Each answer is a line of --out, written once and whole. Run again, "
        "it goes on where it stopped. The budget options are of one row; --total-... are of all rows together.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("questions", metavar="QUESTIONS", type=Path, help="a file of JSON lines")
    parser.add_argument("--out", required=True, metavar="FILE", type=Path, help="where answers go, as JSON lines")
    parser.add_argument("--rows", type=values.count, default=4, metavar="N", help="questions at once (default: 4)")
    parser.add_argument(
        "--again",
        action="append",
        choices=("failed", "partial"),
        default=[],
        help="ask rows that ended so once more (repeatable)",
    )
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="ask the rows on a Ray cluster; without ADDRESS on a local Ray that ends with the batch (extra ray)",
    )
    title = "the total budget, over all rows and all times that the batch is run"
    add_total_budget_options(parser, title, "seconds of this run of the batch")
    add_ask_options(parser)
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only read the questions and their input, and say what all answers will probably cost; sends nothing, needs no key",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Ask all, and the exit status. Raises `UsageError`."""
    from longreach.serve.batch import BatchOptions, here, on_ray, read_questions, run_batch

    questions = read_questions(given.questions)
    if given.out.resolve() == given.questions.resolve():
        raise UsageError("--out must be another file than the questions")
    total = total_budget(given)
    if given.dry_run:
        return _dry_run(questions, ask_options(given), total, given.rows)
    place = here if given.ray is None else on_ray(given.ray)
    options = BatchOptions(ask_options(given), total, given.rows, tuple(given.again), place)
    with Interrupts(PARTIAL) as interrupts:
        try:
            summary = interrupts.run(run_batch(questions, given.out, options, None if given.quiet else _show))
        except KeyboardInterrupt:
            print("longreach: interrupted; run the same command again to go on", file=sys.stderr)
            return interrupts.leave(PARTIAL)
    return _end(summary, given.quiet)


def _dry_run(questions: Sequence[Question], options: Options, total: Budget, at_once: int) -> int:
    """Say what all rows together would take, those included that are answered already. Raises `LongreachError`."""
    from dataclasses import replace

    from longreach.cli import amounts
    from longreach.cli.forecasting import forecast_for_rows, print_forecast
    from longreach.serve.batch.rows import read_question_context

    tokens: dict[tuple[str, ...], int] = {}  # of paths that several rows share, read once
    rows = []
    for question in questions:
        own = question.apply(options)
        size = tokens.get(question.paths) if question.paths else None
        if size is None:
            size = tokens[question.paths] = read_question_context(question, own).estimated_tokens
        rows.append((own, size))
    forecast = forecast_for_rows(rows)
    forecast = replace(forecast, seconds=forecast.seconds.divided(min(at_once, len(rows))))
    about = {
        "questions": f"{len(rows):,}, {min(at_once, len(rows))} at once",
        "contexts": f"about {amounts.tokens(sum(size for _, size in rows))} tokens in all",
    }
    print_forecast(forecast, about, total, as_json=False)
    return COMPLETE


def _show(row: Mapping[str, Any], summary: Summary) -> None:
    done = summary.total - summary.left
    text = row["text"] if row["status"] == "complete" else row["reason"]
    name = f" {one_line(str(row['id']))}" if row["id"] is not None else ""
    line = f"{done}/{summary.total}  row {row['row']}{name}: {row['status']}: {one_line(text)[:100]}"
    print(clean(line), file=sys.stderr, flush=True)


def _end(summary: Summary, quiet: bool) -> int:
    from longreach.cli import amounts

    if not quiet:
        counts = ", ".join(f"{number} {status}" for status, number in sorted(summary.statuses.items()))
        spent = summary.spent
        print(
            f"{counts or 'nothing answered'}; {amounts.count(spent.calls, 'call')}, {amounts.tokens(spent.tokens)} tokens, "
            f"{amounts.dollars(spent.usd)}",
            file=sys.stderr,
        )
    if summary.left:
        print(
            clean(f"longreach: {summary.left} rows are left: {summary.reason}; run again with a larger total"),
            file=sys.stderr,
        )
    if summary.statuses["complete"] == summary.total:
        return COMPLETE
    return PARTIAL if summary.statuses["complete"] else NONE_COMPLETE
