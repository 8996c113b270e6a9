"""The Inspect task `longreach/clbench`, for CL-bench and CL-bench Life.

Covers: samples, both forms of the judge, what tables group by. Does not cover: the benchmark itself (`evals.clbench`), error types
(`error_types`, a second pass over finished logs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.solver import TaskState

from longreach.context.base import CHARACTERS_PER_TOKEN
from longreach.errors import UsageError
from longreach.evals.clbench import load, prompt, score
from longreach.evals.clbench.judge import Grading, JudgeTries, judge_messages, strict_run, upstream_run
from longreach.evals.hub import Source, fetch
from longreach.evals.inspect.given import GIVEN, GivenAnswer
from longreach.evals.inspect.given import given as solve_given
from longreach.evals.inspect.judges import judge
from longreach.evals.inspect.options import RunOptions, is_true, run_options
from longreach.evals.inspect.scorer import Grade, register
from longreach.evals.inspect.tasks.making import Item, existing, make_task, with_context
from longreach.evals.question import Question

__all__ = ["clbench", "rubrics_of"]

OTHERWISE = "give the published JSON lines with --data PATH, or run clsynth, which generates tasks of this kind offline"
SOURCES = {
    "clbench": Source("tencent/CL-bench", "train", OTHERWISE, "b28a5832a09b0d96c0cf4c22e90d7c60ede25b80"),
    "life": Source("tencent/CL-bench-Life", "train", OTHERWISE, "main"),
}
JUDGE_FILE = "judge_file"


@task
def clbench(
    data: str | None = None,
    subset: str = "clbench",
    context: Any = True,
    judge_prompt: str | None = None,
    given: Any = False,
    **kwargs: Any,
) -> Task:
    """Learning from context, judged by rubrics, all or nothing. Needs a grader.

    data: JSON lines; without it the hub's. subset: clbench or life, for the hub. context: false for the no-context ablation.
    judge_prompt: a file with the judge's prompt, with {{rubrics}} and {{response}} in it; by default ours.
    given: true to judge the outputs of a graded file, which `data` names, and to compare the verdicts with those that it gives; the
    evaluated model is not asked.
    """
    options = run_options({"temperature": None, **kwargs})  # unset, as published
    shown = with_context(context, options)
    if subset not in SOURCES:
        raise UsageError(f"there is no subset '{subset}': choose {' or '.join(SOURCES)}")
    path = existing(data)
    template = existing(judge_prompt)
    facts = {JUDGE_FILE: str(template)} if template else {}
    if is_true("given", given):
        if path is None:
            raise UsageError("given=true judges the outputs of a graded file: name it with --data PATH")
        return _judging(path, facts, options)
    tasks = load.load_tasks(path or fetch(SOURCES[subset]))
    return make_task("clbench", [_item(each, shown, facts) for each in tasks], options)


def _judging(path: Path, facts: Mapping[str, Any], options: RunOptions) -> Task:
    """The task of judging given outputs."""
    items = []
    for each, verdict in zip(load.load_tasks(path), load.load_verdicts(path), strict=True):
        told = {"given_statuses": list(verdict.statuses), "given_score": verdict.score}
        item = _item(each, True, {**facts, **told})
        items.append(replace(item, question=partial(GivenAnswer, verdict.output)))
    made = make_task("clbench", items, options, solve_given())
    assert made.metadata is not None
    made.metadata["strategy"] = GIVEN
    return made


def rubrics_of(facts: Mapping[str, Any]) -> load.Task:
    """The task with its rubrics, as far as judging needs it, from a sample's metadata."""
    return load.Task("", "", str(facts["category"]), str(facts["sub_category"]), (), tuple(facts["rubrics"]))


def _item(each: load.Task, shown: bool, facts: Mapping[str, Any]) -> Item:
    tokens = sum(len(message.content) for message in each.messages) // CHARACTERS_PER_TOKEN
    return Item(
        each.id,
        partial(_question, each, shown),
        "\n".join(each.rubrics),
        {
            "category": each.category,
            "sub_category": each.sub_category,
            "length": tokens,
            "length_class": score.length_bin(tokens),
            "cluster": each.context_id,
            "rubrics": list(each.rubrics),
            "task": prompt.task_text(each),
            "floor": 0.0,
            **facts,
        },
    )


def _question(each: load.Task, shown: bool) -> Question:
    if not shown:
        return Question(prompt.task_text(each), None, prompt.without_context(each))
    made = prompt.question(each)
    return Question(made.query, made.context, prompt.messages(each))


async def _grade(state: TaskState, target: str) -> Grade:
    response, facts = state.output.completion, state.metadata
    each = rubrics_of(facts)
    template = _template(facts[JUDGE_FILE]) if JUDGE_FILE in facts else None
    upstream, strict = upstream_run(response, TRIES), strict_run(each, response, TRIES)
    judging = await judge(judge_messages(each.rubrics, response, template), upstream, strict)
    published, held = upstream.grading, strict.grading
    assert published is not None
    assert held is not None
    graded = score.Graded(each, held, state.epoch)
    return Grade(
        None if published.error else float(published.counts_as_solved),
        float(score.solved_strict(graded)),
        str(held.rationale)[:4_000],
        {
            "statuses": _statuses(held),
            "rubrics_met": graded.met,
            "rubrics": len(each.asked_rubrics),
            "failed_grading": held.error or "",
            "failed_upstream": published.error or "",
            "judge_calls": max(upstream.calls, strict.calls),
            "judge_error": judging.error,
            **{name: facts[name] for name in ("given_statuses", "given_score") if name in facts},
        },
    )


@lru_cache(maxsize=4)
def _template(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _statuses(grading: Grading) -> list[str]:
    return [str(status) for status in grading.statuses] if isinstance(grading.statuses, list) else []


TRIES = JudgeTries()

register("clbench", _grade)
