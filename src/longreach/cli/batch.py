"""`longreach batch`: many questions, their answers in a file.

Covers: its options, a line for each answered row, the exit status. Does not cover: asking (`longreach.serve.batch`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longreach.cli import values
from longreach.cli.interrupt import Interrupts
from longreach.cli.options import add_ask_options, add_total_budget_options, ask_options, total_budget
from longreach.cli.untrusted import clean, one_line
from longreach.errors import UsageError

if TYPE_CHECKING:
    from longreach.serve.batch import Summary

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
    parser.add_argument(
        "--json", action="store_true", help="at the end, or of a dry run, one JSON object on standard output"
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only read the questions and their input, and say what the answers that are still missing will probably cost; sends "
        "nothing, needs no key",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Ask all, and the exit status. Raises `UsageError`."""
    from longreach.serve.batch import Answers, BatchOptions, here, on_ray, read_questions, run_batch, standing_of

    questions = read_questions(given.questions)
    if given.out.resolve() == given.questions.resolve():
        raise UsageError("--out must be another file than the questions")
    place = here if given.ray is None else on_ray(given.ray)
    options = BatchOptions(ask_options(given), total_budget(given), given.rows, tuple(given.again), place)
    if given.dry_run:
        from longreach.cli.batch_forecast import print_batch_forecast

        answers = Answers(given.out)
        answers.read()
        answers.check(questions)
        answers.forget(given.again)
        print_batch_forecast(standing_of(questions, answers), options, as_json=given.json)
        return COMPLETE
    with Interrupts(PARTIAL) as interrupts:
        try:
            summary = interrupts.run(run_batch(questions, given.out, options, None if given.quiet else _show))
        except KeyboardInterrupt:
            print("longreach: interrupted; run the same command again to go on", file=sys.stderr)
            return interrupts.leave(PARTIAL)
    _print_end(summary, given)
    if summary.statuses["complete"] == summary.total:
        return COMPLETE
    return PARTIAL if summary.statuses["complete"] else NONE_COMPLETE


def _show(row: Mapping[str, Any], summary: Summary) -> None:
    done = summary.total - summary.left
    text = row["text"] if row["status"] == "complete" else row["reason"]
    name = f" {one_line(str(row['id']))}" if row["id"] is not None else ""
    line = f"{done}/{summary.total}  row {row['row']}{name}: {row['status']}: {one_line(text)[:100]}"
    print(clean(line), file=sys.stderr, flush=True)


def _print_end(summary: Summary, given: argparse.Namespace) -> None:
    from longreach.cli import amounts

    spent = summary.spent
    if given.json:
        told = {"questions": summary.total, "left": summary.left, "statuses": dict(summary.statuses)}
        used = {"calls": spent.calls, "tokens": spent.tokens, "cost_usd": str(spent.usd)}
        print(json.dumps(told | {"reason": summary.reason, "usage": used}))
    if not given.quiet:
        counts = ", ".join(f"{number} {status}" for status, number in sorted(summary.statuses.items()))
        print(
            f"{counts or 'nothing answered'}; {amounts.count(spent.calls, 'call')}, {amounts.tokens(spent.tokens)} tokens, "
            f"{amounts.dollars(spent.usd)}",
            file=sys.stderr,
        )
    if not given.quiet and (failed := summary.statuses["failed"]):
        hint = f"longreach: why {amounts.count(failed, 'row')} failed is in {given.out}; --again failed asks once more"
        print(clean(hint), file=sys.stderr)
    if summary.left:
        print(
            clean(f"longreach: {summary.left} rows are left: {summary.reason}; run again with a larger total"),
            file=sys.stderr,
        )
