"""What models cost, and how long their context windows are.

Covers: prices per million tokens, in tiers by prompt length, from prices.json (made by scripts/update_prices.py out of genai-prices'
data); a flat price that a user gives; an upper bound of a call before it is made. Does not cover: what a run spent (`runs.ledger`).

A price holds for the day on which it was looked up; where it changes with the time of day the dearest counts, so that a run that goes on
into other hours is not cheaper than it says. An unknown price is None, never zero.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from longreach.errors import UsageError
from longreach.models.base import Price, Usage
from longreach.models.endpoints import Endpoint, load_endpoints

__all__ = [
    "FlatPrice",
    "Listed",
    "TablePrice",
    "context_window_at",
    "context_window_of",
    "listed",
    "listed_names",
    "most_cost",
    "near_misses",
    "parse_price",
    "price_at",
    "price_of",
]

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class FlatPrice:
    """USD per million input, output and cached input tokens; cached ones cost as much as others where nothing is given."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None

    @property
    def per_million(self) -> tuple[Decimal, Decimal]:
        """USD per million input and output tokens."""
        return self.input, self.output

    def cost(self, usage: Usage) -> Decimal:
        """The cost of one call in US dollars."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - usage.cached_input_tokens
        return (fresh * self.input + usage.cached_input_tokens * cached + usage.output_tokens * self.output) / MILLION


def parse_price(text: str) -> FlatPrice:
    """The price that `IN,OUT` or `IN,OUT,CACHED` says, in USD per million tokens. Raises `UsageError`."""
    try:
        numbers = [Decimal(each.strip()) for each in text.split(",")]
    except ArithmeticError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(each.is_finite() and each >= 0 for each in numbers):
        raise UsageError(f"'{text}' is no price; give IN,OUT or IN,OUT,CACHED in USD per million tokens, e.g. 1.25,10")
    return FlatPrice(*numbers)


def most_cost(price: Price, input_tokens: int, output_tokens: int) -> Decimal:
    """The most that a call with at most this many tokens can cost, however many of them are cached, written to a cache or reasoning."""
    return max(
        price.cost(Usage(input_tokens, output_tokens, cached, reasoning, written))
        for cached, written in ((0, 0), (input_tokens, 0), (0, input_tokens))
        for reasoning in (0, output_tokens)
    )


# --- the table


@dataclass(frozen=True, slots=True)
class Rate:
    """USD per million tokens; from a prompt of more than a tier's tokens on, its price counts for all tokens of the call."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, prompt_tokens: int) -> Decimal:
        """The price when the prompt has this many tokens."""
        return next((price for start, price in reversed(self.tiers) if prompt_tokens > start), self.base)


@dataclass(frozen=True, slots=True)
class Rates:
    """One set of prices. Where there is none for cached, cache-write or reasoning tokens, they cost as input or output."""

    input: Rate
    output: Rate
    cached: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    requests: Rate | None = None

    def cost(self, usage: Usage) -> Decimal:
        """The cost of one call in US dollars."""
        prompt = usage.input_tokens
        cached = usage.cached_input_tokens if self.cached else 0
        written = usage.cache_write_tokens if self.cache_write else 0
        reasoning = usage.reasoning_tokens if self.reasoning else 0
        counted = (
            (self.input, prompt - cached - written),
            (self.cached, cached),
            (self.cache_write, written),
            (self.output, usage.output_tokens - reasoning),
            (self.reasoning, reasoning),
        )
        tokens = sum((rate.at(prompt) * count for rate, count in counted if rate), ZERO)
        return tokens / MILLION + (self.requests.at(prompt) / THOUSAND if self.requests else ZERO)


@dataclass(frozen=True, slots=True)
class TablePrice:
    """The price of a listed model: the dearest of the rates that may hold within one day."""

    rates: tuple[Rates, ...]

    @property
    def per_million(self) -> tuple[Decimal, Decimal]:
        """USD per million input and output tokens of a short prompt."""
        return max(each.input.base for each in self.rates), max(each.output.base for each in self.rates)

    def cost(self, usage: Usage) -> Decimal:
        """The cost of one call in US dollars."""
        return max(each.cost(usage) for each in self.rates)


@dataclass(frozen=True, slots=True)
class Listed:
    """A model in prices.json. context_window in tokens; prices with what each is valid for, the last valid one counts."""

    id: str
    context_window: int | None
    prices: tuple[tuple[str | tuple[str, str] | None, Rates | None], ...] = field(repr=False)

    def price(self, day: datetime.date) -> TablePrice | None:
        """The price on this day (UTC); None where it is not known."""
        possible: list[Rates | None] = []
        for valid, rates in reversed(self.prices):
            if isinstance(valid, str) and datetime.date.fromisoformat(valid) > day:
                continue
            possible.append(rates)
            if not isinstance(valid, tuple):
                break
        else:
            possible += [rates for _, rates in self.prices[:1]]
        known = tuple(rates for rates in possible if rates is not None)
        return TablePrice(known) if known else None


def price_of(name: str) -> FlatPrice | TablePrice | None:
    """Today's price of the model that a user calls `name`, e.g. 'openai/gpt-5'; None where it is not known without opening it."""
    kind, _, model_id = name.partition("/")
    if kind == "local":
        return FlatPrice(ZERO, ZERO)
    endpoint = load_endpoints().get(kind)
    return None if endpoint is None else price_at(endpoint, model_id)


def context_window_of(name: str) -> int | None:
    """Tokens of the context window of the model that a user calls `name`; None where it is not known without opening it."""
    kind, _, model_id = name.partition("/")
    endpoint = load_endpoints().get(kind)
    return None if endpoint is None else context_window_at(endpoint, model_id)


def price_at(endpoint: Endpoint, model_id: str) -> FlatPrice | TablePrice | None:
    """Today's price of an endpoint's model: what its own data say, else the table."""
    flat = endpoint.facts(model_id).price or endpoint.price
    if flat:
        return FlatPrice(*flat)
    found = listed(endpoint.prices, model_id) if endpoint.prices else None
    return found.price(datetime.datetime.now(datetime.UTC).date()) if found else None


def context_window_at(endpoint: Endpoint, model_id: str) -> int | None:
    """Tokens of the context window of an endpoint's model: what its own data say of it, else the table, else the endpoint's default."""
    found = listed(endpoint.prices, model_id) if endpoint.prices else None
    return (
        endpoint.facts(model_id).context_window or (found.context_window if found else None) or endpoint.context_window
    )


def listed(provider: str, model_id: str) -> Listed | None:
    """The listed model of a provider (one of prices.json) that an API would mean by `model_id`; None when there is none."""
    wanted = model_id.lower()
    return _find(provider, wanted) or _find(provider, _with_dashed_date(wanted))


def listed_names(provider: str) -> tuple[str, ...]:
    """The identifiers of a provider's models of which a price for text is known."""
    models = _table()[provider]["models"] if provider in _table() else ()
    return tuple(model["id"] for model in models if "prices" in model)


def near_misses(endpoint: Endpoint, model_id: str) -> str:
    """What to say when an endpoint has no model of this name."""
    import difflib  # late: only a wrong name needs it

    known = {each.lower(): each for each in listed_names(endpoint.prices)} if endpoint.prices else {}
    near = difflib.get_close_matches(model_id.lower(), known, n=3, cutoff=0.7)
    if near:
        return "did you mean " + " or ".join(f"'{endpoint.name}/{known[each]}'" for each in near) + "?"
    return (
        f"'longreach models {endpoint.name}' lists those with a known price"
        if known
        else "ask the server which models it has"
    )


@cache
def _find(provider: str, wanted: str) -> Listed | None:
    table = _table()
    if provider not in table:
        return None
    for each in (provider, *table[provider]["fallback"]):
        for model in table[each]["models"]:
            if _matches(model["match"], wanted):
                prices = tuple((_valid(valid), _rates(rates)) for valid, rates in model.get("prices", ()))
                return Listed(model["id"], model.get("window"), prices)
    return None


@cache
def _table() -> Mapping[str, Any]:
    text = Path(__file__).with_name("prices.json").read_text(encoding="utf-8")
    providers: Mapping[str, Any] = json.loads(text)["providers"]
    return providers


def _valid(valid: Any) -> str | tuple[str, str] | None:
    return (valid[0], valid[1]) if isinstance(valid, list) else valid


def _rates(rates: Mapping[str, Any] | None) -> Rates | None:
    return None if rates is None else Rates(**{name: _rate(rate) for name, rate in rates.items()})


def _rate(rate: Any) -> Rate:
    if isinstance(rate, str):
        return Rate(Decimal(rate))
    base, *tiers = rate
    return Rate(Decimal(base), tuple((start, Decimal(price)) for start, price in tiers))


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "equals": lambda text, value: text == value.lower(),
    "starts_with": lambda text, value: text.startswith(value.lower()),
    "ends_with": lambda text, value: text.endswith(value.lower()),
    "contains": lambda text, value: value.lower() in text,
    "regex": lambda text, value: re.search(value, text) is not None,
}


def _matches(clause: list[Any], text: str) -> bool:
    kind, *values = clause
    if kind == "or":
        return any(_matches(each, text) for each in values)
    if kind == "and":
        return all(_matches(each, text) for each in values)
    return _TESTS[kind](text, values[0])


_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _with_dashed_date(model_id: str) -> str:
    """'…-20251211' as '…-2025-12-11': some services write the date so where the table has dashes."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", model_id)
