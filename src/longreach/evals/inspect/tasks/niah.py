"""The Inspect task `longreach/niah`.

Covers: samples by variant and length, and their score. Does not cover: the benchmark itself (`evals.niah`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from inspect_ai import Task, task
from inspect_ai.solver import TaskState

from longreach.context import Context
from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.evals.inspect.options import lengths, names, run_options
from longreach.evals.inspect.scorer import Grade, register
from longreach.evals.inspect.tasks.making import Item, existing, make_task
from longreach.evals.niah import score
from longreach.evals.niah.generate import Sample, Settings, generate
from longreach.evals.niah.variants import variant as find_variant
from longreach.evals.question import Question
from longreach.models.base import Message

__all__ = ["niah"]


@task
def niah(
    variant: Any = "single_1",
    length: Any = 8192,
    samples: int = 50,
    seed: int = 42,
    prose: str | None = None,
    **kwargs: Any,
) -> Task:
    """RULER's needle tasks. Lengths are tokens of four characters, since samples must not depend on the model.

    variant: one or several of `longreach.evals.niah.variants`. prose: a text file, for the variants that hide needles in prose.
    """
    options = run_options(kwargs)
    path = existing(prose)
    text = path.read_text(encoding="utf-8") if path else ""
    items = []
    for name in names(variant):
        for tokens in lengths(length):
            settings = Settings(tokens, samples, seed, prose=text)
            made = generate(find_variant(name), settings, lambda text: -(-len(text) // CHARACTERS_PER_TOKEN))
            items += [_item(name, tokens, number, sample) for number, sample in enumerate(made, 1)]
    return make_task("niah", items, options)


def _item(variant: str, length: int, number: int, sample: Sample) -> Item:
    return Item(
        f"{variant}-{length}-{number}",
        partial(_question, sample),
        "\n".join(sample.answers),
        {"category": variant, "length": length, "floor": score.FLOOR},
    )


def _question(sample: Sample) -> Question:
    query = f"{sample.question.introduction}\n{sample.question.query}"
    return Question(query, Context.from_text(sample.context), (Message("user", sample.prompt),))


async def _grade(state: TaskState, target: str) -> Grade:
    answers, reply = target.split("\n"), state.output.completion
    return Grade(score.contained(score.cleaned(reply), answers), score.contained_whole(reply, answers))


register("niah", _grade)
