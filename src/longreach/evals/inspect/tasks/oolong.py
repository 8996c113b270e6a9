"""The Inspect task `longreach/oolong`.

Covers: own windows over local texts, released files of both splits, their scores and floors. Does not cover: the benchmark itself
(`evals.oolong`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.solver import TaskState

from longreach.context import Context
from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.errors import UsageError
from longreach.evals.hub import Source as HubSource
from longreach.evals.hub import fetch
from longreach.evals.inspect.options import lengths, run_options
from longreach.evals.inspect.scorer import Grade, register
from longreach.evals.inspect.tasks.making import Item, existing, make_task
from longreach.evals.oolong.floor import floor
from longreach.evals.oolong.generate import Settings, generate
from longreach.evals.oolong.kinds import KINDS
from longreach.evals.oolong.load import RealSample, load_real, load_synth
from longreach.evals.oolong.prompt import messages
from longreach.evals.oolong.real import score_real, score_real_strict
from longreach.evals.oolong.sample import Sample
from longreach.evals.oolong.score import score_lenient, score_synth
from longreach.evals.oolong.sources import Source, read_jsonl, read_sms_spam, read_trec
from longreach.evals.oolong.strict import score_strict
from longreach.evals.question import Question

__all__ = ["hub_source", "oolong", "read_texts"]

OTHERWISE = (
    "give the released samples as JSON lines with --data PATH; or give raw texts (TREC's, SMS Spam's) with --data PATH, "
    "from which windows of any length are generated offline"
)
SYNTH = "oolongbench/oolong-synth"
SYNTH_REVISION = "49898a421f4b14f2c9cae084d2d270f930ff4c90"  # of the paper; a later one corrects some answers
REAL = HubSource("oolongbench/oolong-real", "test", OTHERWISE, "6bc9ef04866fcf005c9749b70649be69dd37fffb", config="dnd")
SPLITS = ("synth", "real")
VALIDATION = ("trec_coarse", "spam")  # the sources of the released validation split; the others are in test


@task
def oolong(
    data: str | None = None,
    split: str = "synth",
    source: str = "trec_coarse",
    length: Any = 131_072,
    windows: int = 2,
    questions: int = 25,
    seed: int = 42,
    **kwargs: Any,
) -> Task:
    """How labels are distributed over many lines.

    data: raw texts (TREC's or SMS Spam's file, or JSON lines of input and label) for own windows, or a released file; without it the
    hub's samples of that source and those lengths. split: synth or real. source: which labels the texts have. length, windows, questions,
    seed: of own windows; of a released file, `length` is the longest.
    """
    options = run_options(kwargs)
    if split not in SPLITS:
        raise UsageError(f"there is no split '{split}': choose synth or real")
    path = existing(data) or fetch(REAL if split == "real" else hub_source(source, lengths(length)))
    if split == "real":
        return make_task("oolong", [_real_item(sample) for sample in load_real(path)], options)
    if _is_released(path):
        samples = load_synth(path, longest=max(lengths(length)))
    else:
        texts = read_texts(source, path)
        samples = [
            each for tokens in lengths(length) for each in generate(texts, Settings(tokens, windows, questions, seed))
        ]
    return make_task("oolong", [_item(sample) for sample in samples], options)


def hub_source(source: str, sizes: Sequence[int]) -> HubSource:
    """The released windows over one source, of some lengths in tokens. Raises `UsageError` for an unknown source."""
    if source not in KINDS:
        raise UsageError(f"there is no source '{source}': choose one of {', '.join(KINDS)}")
    split = "validation" if source in VALIDATION else "test"
    return HubSource(
        SYNTH, split, OTHERWISE, SYNTH_REVISION, where={"dataset": (source,), "context_len": tuple(sorted(set(sizes)))}
    )


def read_texts(source: str, path: Path) -> Source:
    """Labelled texts: a file, or for TREC a folder that holds its raw files. Raises `UsageError`."""
    paths = sorted(path.glob("*.raw")) if path.is_dir() else [path]
    if not paths:
        raise UsageError(f"{path} holds no file *.raw: give TREC's raw files")
    if paths[0].suffix == ".jsonl":
        return read_jsonl(source, paths[0])
    return read_sms_spam(paths[0]) if source == "spam" else read_trec(*paths)


def _is_released(path: Path) -> bool:
    if path.is_dir() or path.suffix != ".jsonl":
        return False
    with path.open(encoding="utf-8") as lines:
        return '"context_window_text"' in lines.readline()


def _item(sample: Sample) -> Item:
    facts = {
        "category": sample.group,
        "sub_category": f"{sample.source} {sample.task}",
        "length": sample.length,
        "answer_type": sample.answer_type,
        "floor": floor(sample, len(KINDS[sample.source].labels)),
    }
    make = partial(_question, sample.text, sample.question)
    return Item(f"{sample.source}-{sample.length}-{sample.key}", make, sample.answer, facts)


def _real_item(sample: RealSample) -> Item:
    facts = {
        "category": sample.question_type,
        "length": len(sample.text) // CHARACTERS_PER_TOKEN,
        "answer_type": "real",
    }
    return Item(
        f"{sample.window_id}-{sample.id}", partial(_question, sample.text, sample.question), sample.answer, facts
    )


def _question(text: str, question: str) -> Question:
    return Question(question, Context.from_text(text), tuple(messages(text, question)))


async def _grade(state: TaskState, target: str) -> Grade:
    reply, kind = state.output.completion, str(state.metadata["answer_type"])
    if kind == "real":
        return Grade(score_real(target, reply).score, score_real_strict(target, reply))
    scored = score_synth(target, kind, reply)
    details = {
        "lenient": score_lenient(target, kind, reply),
        "read": scored.parsed[:200],
        "confidence": scored.confidence,
    }
    return Grade(scored.score, score_strict(target, kind, reply), details=details)


register("oolong", _grade)
