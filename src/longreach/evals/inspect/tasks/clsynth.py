"""The Inspect task `longreach/clsynth`.

Covers: samples of invented contexts, their score by program. Does not cover: the benchmark itself (`evals.clsynth`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from inspect_ai import Task, task
from inspect_ai.solver import TaskState

from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.evals.clsynth import base, prompt
from longreach.evals.clsynth.generate import CATEGORIES, generate
from longreach.evals.clsynth.score import grade
from longreach.evals.inspect.options import names, run_options
from longreach.evals.inspect.scorer import Grade, register
from longreach.evals.inspect.tasks.making import Item, make_task, with_context
from longreach.evals.question import Question

__all__ = ["clsynth"]


@task
def clsynth(
    contexts: int = 8,
    category: Any = tuple(CATEGORIES),
    difficulty: int = 1,
    words: int = 1_500,
    tasks: int = 4,
    seed: int = 1,
    context: Any = True,
    **kwargs: Any,
) -> Task:
    """Learning from invented contexts. context: false for the no-context ablation. The rest as `evals.clsynth.base.Options`."""
    options = run_options(kwargs)
    shown = with_context(context, options)
    settings = base.Settings(difficulty, words, tasks)
    scenarios = generate(seed, base.Options(contexts, tuple(names(category)), settings))
    items = [_item(scenario, each, shown) for scenario in scenarios for each in scenario.tasks]
    return make_task("clsynth", items, options)


def _item(scenario: base.Scenario, each: base.Task, shown: bool) -> Item:
    return Item(
        each.id,
        partial(_question, scenario, each, shown),
        each.reference,
        {
            "category": scenario.category,
            "sub_category": scenario.sub_category,
            "length": len(scenario.text) // CHARACTERS_PER_TOKEN,
            "cluster": scenario.id,
            "fields": [asdict(field) for field in each.fields],
            "floor": 0.0,
        },
    )


def _question(scenario: base.Scenario, each: base.Task, shown: bool) -> Question:
    if not shown:
        return Question(prompt.query(each), None, prompt.without_context(each))
    return Question(prompt.query(each), prompt.context(scenario), prompt.messages(scenario, each))


async def _grade(state: TaskState, target: str) -> Grade:
    fields: list[Mapping[str, Any]] = state.metadata["fields"]
    each = base.Task(str(state.sample_id), "", tuple(base.Field(**field) for field in fields))
    grading = grade(each, state.output.completion)
    met = grading.statuses.count("yes")
    details = {"statuses": grading.statuses, "rubrics_met": met, "rubrics": len(grading.statuses)}
    return Grade(float(grading.score), float(grading.score), details=details)


register("clsynth", _grade)
