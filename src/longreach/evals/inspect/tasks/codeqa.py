"""The Inspect task `longreach/codeqa`.

Covers: samples from LongBench v2's file or generated, 0-shot and chain of thought, their score. Does not cover: the benchmark itself
(`evals.codeqa`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from inspect_ai import Task, task
from inspect_ai.solver import TaskState

from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.errors import UsageError
from longreach.evals.codeqa import prompt, score
from longreach.evals.codeqa.generate import Options, generate
from longreach.evals.codeqa.load import CODE_DOMAIN, code_items, load_items
from longreach.evals.codeqa.load import Item as CodeItem
from longreach.evals.hub import Source, fetch
from longreach.evals.inspect.options import run_options
from longreach.evals.inspect.scorer import Grade, register
from longreach.evals.inspect.tasks.making import Item, existing, make_task, with_context
from longreach.evals.question import Question

__all__ = ["codeqa"]

HUB = Source(
    "zai-org/LongBench-v2",
    "train",
    "give its data.json with --data PATH, or leave `data` out to generate items offline",
    "2b48e494f2c7a2f0af81aae178e05c7e1dde0fe9",
    where={"domain": (CODE_DOMAIN,)},
)
TEMPERATURE = 0.1  # as published
STYLES = ("zero_shot", "reasoning")


@dataclass(frozen=True, slots=True)
class Told:
    """How items are told: with their text or without, in two calls or one, with how many characters of text."""

    shown: bool
    reasoning: bool
    characters: int


@task
def codeqa(
    data: str | None = None,
    samples: int = 20,
    characters: int = 200_000,
    folder: str | None = None,
    seed: int = 1,
    context: Any = True,
    style: str = "zero_shot",
    cut: int = prompt.PROMPT_TOKENS,
    **kwargs: Any,
) -> Task:
    """Multiple choice about code. data: LongBench v2's data.json, or "hub"; without it items are generated over `folder`.

    samples, characters, folder, seed: of generated items; folder: a Python source tree, by default the standard library. context: false
    for the ablation without the text. style: zero_shot, or reasoning in a call before that for the answer; of the strategy direct, as is
    cut: the tokens of text, of four characters, beyond which its middle is left out, as published.
    """
    options = run_options({"temperature": TEMPERATURE, **kwargs})
    if style not in STYLES:
        raise UsageError(f"there is no style '{style}': choose {' or '.join(STYLES)}")
    told = Told(with_context(context, options), style == "reasoning", cut * CHARACTERS_PER_TOKEN)
    if data is None:
        items = generate(seed, Options(samples, characters, existing(folder)))
    else:
        path = fetch(HUB) if data == "hub" else existing(data)
        assert path is not None
        items = code_items(load_items(path))
    return make_task("codeqa", [_item(item, told) for item in items], options)


def _item(item: CodeItem, told: Told) -> Item:
    facts = {
        "category": item.difficulty,
        "sub_category": item.sub_domain,
        "length_class": item.length,
        "length": len(item.context) // CHARACTERS_PER_TOKEN,
        "floor": score.CHANCE,
    }
    return Item(item.id, partial(_question, item, told), item.answer, facts)


def _question(item: CodeItem, told: Told) -> Question:
    if not told.shown:
        return Question(prompt.query(item), None, prompt.without_text(item))
    cut = replace(item, context=prompt.cut_text(item.context, told.characters))
    if told.reasoning:
        then = partial(prompt.answer_after_reasoning, cut)
        return Question(prompt.query(item), prompt.context(item), prompt.reasoning(cut), then)
    return Question(prompt.query(item), prompt.context(item), prompt.zero_shot(cut))


async def _grade(state: TaskState, target: str) -> Grade:
    reply = state.output.completion
    published, strict = score.extract_upstream(reply), score.extract_strict(reply)
    upstream = None if not reply else float(published == target)
    return Grade(upstream, float(strict == target), details={"upstream_letter": published, "strict_letter": strict})


register("codeqa", _grade)
