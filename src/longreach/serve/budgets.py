"""The budget of a run that a client asked for.

Covers: what it asks for, within what the server and its key allow. Does not cover: keeping it (`runs.ledger`, `serve.state`).
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from longreach.runs import Budget
from longreach.serve.bodies import BudgetBody
from longreach.serve.state import Grant

__all__ = ["wanted_budget", "within"]

N = TypeVar("N", int, float, Decimal)


def wanted_budget(body: BudgetBody | None, most: Budget) -> Budget:
    """What a request asks for, but never more than `most`. Depth and steps that it does not name keep their defaults."""
    return _by_default(most) if body is None else _wanted(body, most)


@lru_cache(16)  # most requests name no budget
def _by_default(most: Budget) -> Budget:
    return _wanted(BudgetBody(), most)


def _wanted(asked: BudgetBody, most: Budget) -> Budget:
    default = Budget()
    most_usd = None if most.usd is None else Decimal(most.usd)
    values: dict[str, Any] = {
        "usd": _least(asked.usd, most_usd),
        "tokens": _least(asked.tokens, most.tokens),
        "calls": _least(asked.calls, most.calls),
        "seconds": _least(asked.seconds, most.seconds),
        "depth": min(default.depth if asked.depth is None else asked.depth, most.depth),
        "steps": min(asked.steps or default.steps, most.steps),
        "confidence": asked.confidence if asked.confidence is not None else most.confidence,
    }
    return Budget(**values)


def within(budget: Budget, grant: Grant) -> Budget:
    """The budget, with no more dollars and tokens than its key granted."""
    if grant.usd is None and grant.tokens is None:
        return budget
    usd = None if budget.usd is None else Decimal(budget.usd)
    return Budget(
        usd=_least(usd, grant.usd),
        tokens=_least(budget.tokens, grant.tokens),
        calls=budget.calls,
        seconds=budget.seconds,
        depth=budget.depth,
        steps=budget.steps,
        confidence=budget.confidence,
    )


def _least(a: N | None, b: N | None) -> N | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
