"""Ways to answer a query about a context, by name."""

from __future__ import annotations

from longreach.errors import UsageError
from longreach.strategies.auto import Auto
from longreach.strategies.base import Strategy
from longreach.strategies.codeact import CodeAct
from longreach.strategies.direct import Direct
from longreach.strategies.repeat import Repeated
from longreach.strategies.rlm import FlatRecursiveLanguageModel, RecursiveLanguageModel
from longreach.strategies.summary import Summary

__all__ = ["STRATEGIES", "Strategy", "find_strategy"]

MOST_REPETITIONS = 99

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        RecursiveLanguageModel(),
        FlatRecursiveLanguageModel(),
        Direct(),
        Summary(),
        CodeAct(),
        Auto(),
    )
}


def find_strategy(name: str) -> Strategy:
    """The strategy called `name`; 'NAME@N' repeats it up to N times. Raises `UsageError`."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    inner, _, times = name.partition("@")
    if inner in STRATEGIES and times.isdecimal() and 2 <= int(times) <= MOST_REPETITIONS:
        return Repeated(STRATEGIES[inner], int(times))
    import difflib  # late: only a wrong name needs it

    near = difflib.get_close_matches(name, STRATEGIES, 1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    raise UsageError(
        f"there is no strategy '{name}'{hint} There are: {', '.join(STRATEGIES)}; and NAME@N, from 2 to {MOST_REPETITIONS}"
    )
