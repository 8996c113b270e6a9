"""What `auto` is calibrated on: samples of four benchmarks at several lengths.

Covers: needles (RULER), OOLONG, OOLONG-Pairs, invented contexts (clsynth), each as a query about a context and a program that scores a
reply from 0 to 1. Does not cover: the benchmarks themselves (`longreach.evals`). Equal seeds give equal samples.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from longreach.context import Context
from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.errors import UsageError
from longreach.evals.clsynth import base as clsynth
from longreach.evals.clsynth import prompt as clsynth_prompt
from longreach.evals.clsynth.generate import generate as generate_clsynth
from longreach.evals.clsynth.score import grade
from longreach.evals.niah import score as niah_score
from longreach.evals.niah.generate import Settings as NiahSettings
from longreach.evals.niah.generate import generate as generate_niah
from longreach.evals.niah.variants import variant
from longreach.evals.oolong.generate import Settings as OolongSettings
from longreach.evals.oolong.generate import generate as generate_oolong
from longreach.evals.oolong.score import score_synth
from longreach.evals.oolong.sources import Source, read_trec
from longreach.evals.oolong_pairs.samples import generate as generate_pairs
from longreach.evals.oolong_pairs.score import as_text, f1, read_paper

__all__ = ["BENCHMARKS", "NEED_TREC", "Plan", "Sample", "samples"]

TOKENS_PER_WORD = 1.35
NEEDLES = ("single_1", "multikey_2")


@dataclass(frozen=True, slots=True)
class Sample:
    """One question. length: the nominal length in tokens; `context.estimated_tokens` is the one that `auto` sees."""

    benchmark: str
    id: str
    length: int
    query: str
    context: Context
    score: Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which samples: `number` of each benchmark and length. trec: a folder with TREC's raw files."""

    benchmarks: Sequence[str]
    lengths: Sequence[int]
    number: int
    seed: int = 1
    trec: Path | None = None


def samples(plan: Plan) -> list[Sample]:
    """All samples, so ordered that the first ones are of every benchmark and length. Raises `UsageError`."""
    unknown = [name for name in plan.benchmarks if name not in BENCHMARKS]
    if unknown:
        raise UsageError(f"there is no set {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}")
    columns = [
        list(BENCHMARKS[name](plan, length))
        for length in sorted(plan.lengths)
        for name in dict.fromkeys(plan.benchmarks)
    ]
    return [column[row] for row in range(plan.number) for column in columns]


def _niah(plan: Plan, length: int) -> Iterator[Sample]:
    made = {
        name: generate_niah(variant(name), NiahSettings(length, plan.number, plan.seed), _tokens) for name in NEEDLES
    }
    for row in range(plan.number):
        name = NEEDLES[row % len(NEEDLES)]
        sample = made[name][row]
        query = f"{sample.question.introduction}\n{sample.question.query}"
        score = partial(_score_niah, sample.answers)
        yield Sample("niah", f"{name}-{length}-{row}", length, query, Context.from_text(sample.context), score)


def _oolong(plan: Plan, length: int) -> Iterator[Sample]:
    settings = OolongSettings(length, windows=1, questions=plan.number, seed=plan.seed)
    made = generate_oolong(_trec(plan), settings)
    if len(made) < plan.number:
        raise UsageError(f"a window of {length} tokens has only {len(made)} questions: ask for fewer samples")
    for row, sample in enumerate(made):
        score = partial(_score_oolong, sample.answer, sample.answer_type)
        context = Context.from_text(sample.text)
        yield Sample("oolong", f"{length}-{row}", length, sample.question, context, score)


def _oolong_pairs(plan: Plan, length: int) -> Iterator[Sample]:
    made = generate_pairs(_trec(plan), length, plan.seed)
    if len(made) < plan.number:
        raise UsageError(f"OOLONG-Pairs has {len(made)} queries: ask for no more samples")
    for sample in random.Random(plan.seed).sample(made, plan.number):
        score = partial(_score_pairs, frozenset(as_text(sample.gold)))
        name = f"{length}-query-{sample.query.number}"
        yield Sample("oolong_pairs", name, length, sample.query.text, Context.from_text(sample.text), score)


def _clsynth(plan: Plan, length: int) -> Iterator[Sample]:
    settings = clsynth.Settings(words=int(length / TOKENS_PER_WORD))
    for scenario in generate_clsynth(plan.seed, clsynth.Options(plan.number, settings=settings)):
        task = scenario.tasks[0]
        query, context = clsynth_prompt.query(task), clsynth_prompt.context(scenario)
        yield Sample("clsynth", f"{length}-{task.id}", length, query, context, partial(_score_clsynth, task))


BENCHMARKS: Mapping[str, Callable[[Plan, int], Iterator[Sample]]] = {
    "niah": _niah,
    "oolong": _oolong,
    "oolong_pairs": _oolong_pairs,
    "clsynth": _clsynth,
}
NEED_TREC = ("oolong", "oolong_pairs")


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _trec(plan: Plan) -> Source:
    paths = sorted(plan.trec.glob("*.raw")) if plan.trec else []
    if not paths:
        raise UsageError(
            f"{' and '.join(NEED_TREC)} need TREC's raw files: give their folder with --trec, or leave them out"
        )
    return read_trec(*paths)


# --- scores, as the benchmarks define them


def _score_niah(answers: Sequence[str], reply: str) -> float:
    return niah_score.contained(niah_score.cleaned(reply), answers)


def _score_oolong(answer: str, answer_type: str, reply: str) -> float:
    return float(score_synth(answer, answer_type, reply).score)


def _score_pairs(truth: frozenset[tuple[str, str]], reply: str) -> float:
    return f1(read_paper(reply), truth).f1


def _score_clsynth(task: clsynth.Task, reply: str) -> float:
    """The share of rubrics met: all or nothing, as published, would need many more samples."""
    statuses = grade(task, reply).statuses
    return float(statuses.count("yes") / len(statuses))
