"""The strategy `auto`: picks a strategy by the size of the context and the kind of question, shallow first.

Covers: where to begin, when an answer is not good enough, and going on with the next strategy. Thresholds and patterns are data
(`auto.toml`), made by `scripts/calibrate_auto`. Does not cover: the strategies themselves.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from longreach.context import Context
from longreach.runs import Answer, Run
from longreach.strategies.base import Strategy
from longreach.strategies.direct import Direct, fits_directly
from longreach.strategies.execute import execute
from longreach.strategies.rlm import FlatRecursiveLanguageModel, RecursiveLanguageModel
from longreach.strategies.shares import share_of_rest

__all__ = ["Auto", "Thresholds", "is_confident", "is_judging", "order", "thresholds"]

_STRATEGIES: Mapping[str, Strategy] = {
    each.name: each for each in (Direct(), FlatRecursiveLanguageModel(), RecursiveLanguageModel())
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Sizes of a context in estimated tokens: below the first `direct` is tried, below the second `rlm-flat`."""

    direct_below: int
    flat_below: int


class Auto:
    """Direct, then an RLM without sub-calls, then one with them; each only when it is large enough a step for the input."""

    name = "auto"

    async def answer(self, query: str, context: Context, run: Run) -> Answer:
        """The first confident answer; the last one's when none is. Raises what a run itself cannot turn into an answer."""
        strategies = _strategies(query, context, run)
        for number, strategy in enumerate(strategies, 1):
            child = run.child(share_of_rest(run, 1 if number == len(strategies) else 2))
            answer = await execute(strategy, query, context, child)
            run.best = answer.text or run.best
            if is_confident(answer, run.ledger.budget.confidence):
                return answer
        return (
            answer if answer.text else Answer(run.best, answer.status if run.best == "" else "partial", answer.reason)
        )


def order(tokens: int, judging: bool, limits: Thresholds) -> tuple[str, ...]:
    """The names of the strategies to try, in order, for a context of so many estimated tokens. The last one is always `rlm`.

    judging: whether the question is one that code alone cannot answer.
    """
    names = ["direct"] if tokens < limits.direct_below else []
    if tokens < limits.flat_below and not judging:
        names.append("rlm-flat")
    return (*names, "rlm")


def thresholds(prompt_family: str) -> Thresholds:
    """Those for models of a prompt family, from `auto.toml`; those of 'general' where a family has none of its own."""
    tables = _data()["thresholds"]
    return Thresholds(**tables.get(prompt_family, tables["general"]))


def is_judging(query: str) -> bool:
    """Whether the answer rests on what passages mean, not on finding or counting words."""
    return any(pattern.search(query) for pattern in _patterns("judging"))


def is_confident(answer: Answer, wanted: float | None = None) -> bool:
    """Whether no deeper strategy need be tried: complete, and as confident as wanted or, without a number, not saying that it is unsure."""
    if answer.status != "complete":
        return False
    if wanted is not None and answer.confidence is not None:
        return answer.confidence >= wanted
    return not any(pattern.search(answer.text) for pattern in _patterns("unsure"))


def _strategies(query: str, context: Context, run: Run) -> Sequence[Strategy]:
    root = run.models.root
    names = order(context.estimated_tokens, is_judging(query), thresholds(root.prompt_family))
    return [_STRATEGIES[name] for name in names if name != "direct" or fits_directly(query, context, root)]


@cache
def _data() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("auto.toml").read_text("utf-8"))


@cache
def _patterns(name: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text, re.IGNORECASE) for text in _data()["patterns"][name])
