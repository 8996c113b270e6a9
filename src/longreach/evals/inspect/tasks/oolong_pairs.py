"""The Inspect task `longreach/oolong_pairs`.

Covers: the twenty queries on own windows or a given one, their F1 and floor. Does not cover: the benchmark itself (`evals.oolong_pairs`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.solver import TaskState

from longreach.context import Context
from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.errors import UsageError
from longreach.evals.hub import fetch
from longreach.evals.inspect.options import lengths, run_options
from longreach.evals.inspect.scorer import Grade, register
from longreach.evals.inspect.tasks.making import Item, existing, make_task
from longreach.evals.inspect.tasks.oolong import hub_source, read_texts
from longreach.evals.oolong.load import load_synth
from longreach.evals.oolong.prompt import messages
from longreach.evals.oolong_pairs.floor import floor
from longreach.evals.oolong_pairs.gold import write_pairs
from longreach.evals.oolong_pairs.samples import Sample, from_texts, generate
from longreach.evals.oolong_pairs.score import READINGS, f1
from longreach.evals.question import Question

__all__ = ["oolong_pairs"]

PLAIN, LABELLED = "context_window_text.txt", "context_window_text_with_labels.txt"
OTHERWISE = "with --data PATH give a window with its labelled copy, or TREC's raw texts, from which any length is generated offline"


@task
def oolong_pairs(
    data: str | None = None, length: Any = 32_768, queries: Any = None, seed: int = 42, **kwargs: Any
) -> Task:
    """All pairs of users that meet a joint condition.

    data: a folder with a released window (context_window_text.txt and its copy with labels), or TREC's raw file or files for own windows;
    without it the hub's first window of each length. queries: some of the twenty, by number. length: of own windows or the hub's.
    seed: of own windows.
    """
    options = run_options(kwargs)
    path = existing(data)
    chosen = None if queries is None else {int(number) for number in _numbers(queries)}
    if path is None:
        windows = [_hub_window(tokens) for tokens in lengths(length)]
    elif (path / PLAIN).is_file():
        windows = [from_texts(_read(path / PLAIN), _read(path / LABELLED))]
    else:
        texts = read_texts("trec_coarse", path)
        windows = [generate(texts, tokens, seed) for tokens in lengths(length)]
    items = [
        _item(number, sample)
        for number, window in enumerate(windows, 1)
        for sample in window
        if chosen is None or sample.query.number in chosen
    ]
    return make_task("oolong_pairs", items, options)


def _hub_window(tokens: int) -> list[Sample]:
    """The published benchmark asks about the first window of OOLONG's of each length."""
    source = replace(hub_source("trec_coarse", [tokens]), otherwise=OTHERWISE)
    first = min(load_synth(fetch(source), longest=tokens, above=tokens - 1), key=lambda sample: sample.window_id)
    return from_texts(first.text, first.labelled_text or "")


def _numbers(queries: object) -> list[str]:
    found = [str(each).strip() for each in (queries if isinstance(queries, list | tuple) else str(queries).split(","))]
    if not all(each.isdecimal() and 1 <= int(each) <= 20 for each in found):
        raise UsageError(f"'{queries}' are no queries: give numbers from 1 to 20")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; a window needs its labelled copy beside it") from error


def _item(window: int, sample: Sample) -> Item:
    number = sample.query.number
    facts = {
        "category": "both users" if number <= 10 else "one and the other",
        "sub_category": f"query {number:02}",
        "length": len(sample.text) // CHARACTERS_PER_TOKEN,
        "floor": floor(sample.lines, sample.query.condition).f1,
    }
    gold = "\n".join(write_pairs(sample.gold))
    return Item(f"window-{window}-query-{number:02}", partial(_question, sample), gold, facts)


def _question(sample: Sample) -> Question:
    text = sample.query.text
    return Question(text, Context.from_text(sample.text), tuple(messages(sample.text, text)))


async def _grade(state: TaskState, target: str) -> Grade:
    truth = READINGS["paper"](target)
    scores = {name: f1(read(state.output.completion), truth) for name, read in READINGS.items()}
    paper = scores["paper"]
    details: dict[str, Any] = {name: round(score.f1, 6) for name, score in scores.items()}
    details |= {
        "precision": paper.precision,
        "recall": paper.recall,
        "predicted": paper.predicted,
        "truth": paper.truth,
    }
    return Grade(paper.f1, paper.f1, details=details)


register("oolong_pairs", _grade)
