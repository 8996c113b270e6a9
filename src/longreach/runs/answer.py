"""What a run ends with.

Covers: the answer, its status, and what it used. Does not cover: how it came about (the journal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from longreach.models.base import Usage

__all__ = ["Answer", "ModelSpending", "RunUsage", "Status"]

Status = Literal["complete", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class ModelSpending:
    """What one model was used for. `cost` in US dollars, None where the price is not known."""

    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = Decimal(0)

    def add(self, usage: Usage, cost: Decimal | None, calls: int = 1) -> ModelSpending:
        """With one more call."""
        total = None if self.cost is None or cost is None else self.cost + cost
        return ModelSpending(self.calls + calls, self.usage + usage, total)


@dataclass(frozen=True, slots=True)
class RunUsage:
    """What a run and its child runs used.

    reused_calls: sub-calls that were answered from an equal earlier one, at no cost.
    unconfirmed_calls: attempts that broke off and may have been charged; at most `unconfirmed_cost` US dollars (not part of `cost`).
    speculative_calls: sub-calls sent before the code made them; `wasted_calls`: those of them that it never made (both part of `calls`),
        with the tokens and US dollars that they took; `wasted_cost` is None where a price is not known.
    """

    steps: int = 0
    seconds: float = 0.0
    by_model: Mapping[str, ModelSpending] = field(default_factory=dict)
    reused_calls: int = 0
    unconfirmed_calls: int = 0
    unconfirmed_cost: Decimal = Decimal(0)
    speculative_calls: int = 0
    wasted_calls: int = 0
    wasted_tokens: int = 0
    wasted_cost: Decimal | None = Decimal(0)

    @property
    def calls(self) -> int:
        """Model calls, of all models."""
        return sum(each.calls for each in self.by_model.values())

    @property
    def tokens(self) -> Usage:
        """Tokens, of all models."""
        usages = [each.usage for each in self.by_model.values()]
        return usages[0] if len(usages) == 1 else sum(usages, Usage())

    @property
    def cost(self) -> Decimal | None:
        """US dollars, or None where the price of one of the models is not known."""
        costs = [each.cost for each in self.by_model.values()]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    def to_json(self) -> dict[str, Any]:
        """As journals and `--json` show it; dollars are strings, so that no digit is lost."""
        tokens, cost = self.tokens, self.cost
        return {
            "steps": self.steps,
            "calls": self.calls,
            "reused_calls": self.reused_calls,
            "unconfirmed_calls": self.unconfirmed_calls,
            "unconfirmed_cost_usd": str(self.unconfirmed_cost),
            "speculative_calls": self.speculative_calls,
            "wasted_calls": self.wasted_calls,
            "wasted_tokens": self.wasted_tokens,
            "wasted_cost_usd": None if self.wasted_cost is None else str(self.wasted_cost),
            "seconds": round(self.seconds, 3),
            "input_tokens": tokens.input_tokens,
            "cached_input_tokens": tokens.cached_input_tokens,
            "output_tokens": tokens.output_tokens,
            "reasoning_tokens": tokens.reasoning_tokens,
            "cost_usd": None if cost is None else str(cost),
            "by_model": {
                name: {
                    "calls": each.calls,
                    "input_tokens": each.usage.input_tokens,
                    "output_tokens": each.usage.output_tokens,
                    "cost_usd": None if each.cost is None else str(each.cost),
                }
                for name, each in self.by_model.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a run.

    text: the answer; of a 'partial' run the best so far, which may be empty; of a 'failed' one always empty.
    status: 'complete'; 'partial' (a budget, the deadline or a cancellation ended it); 'failed'.
    reason: why it is not complete, and what can be done; empty when complete.
    confidence: between 0 and 1 where the strategy has one.
    journal: the file with all that happened.
    """

    text: str
    status: Status
    reason: str = ""
    usage: RunUsage = field(default_factory=RunUsage)
    confidence: float | None = None
    run_id: str = ""
    journal: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """What `longreach ask --json` prints."""
        cost = self.usage.cost
        return {
            "text": self.text,
            "status": self.status,
            "reason": self.reason,
            "confidence": self.confidence,
            "usage": self.usage.to_json(),
            "cost_usd": None if cost is None else str(cost),
            "run_id": self.run_id,
            "journal": None if self.journal is None else str(self.journal),
        }
