"""The values that the server's database holds.

Covers: keys and their limits, runs, uploads, money as whole numbers. Does not cover: the database (`state.store`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from longreach.errors import UsageError

__all__ = [
    "ACTIVE",
    "LOCAL_OWNER",
    "ContextRow",
    "Grant",
    "Key",
    "KeyLimits",
    "NewRun",
    "RunRow",
    "Spending",
    "floor",
    "nano",
    "usd",
]

ACTIVE = "active"
LOCAL_OWNER = ""  # who asks when there are no keys
NANO = Decimal(1_000_000_000)


def nano(amount: Decimal | float | None) -> int | None:
    """US dollars as whole billionths, rounded up."""
    if not amount:
        return None if amount is None else 0
    return int((Decimal(str(amount)) * NANO).to_integral_value(ROUND_CEILING))


def usd(billionths: int) -> Decimal:
    """Billionths as US dollars."""
    return Decimal(billionths) / NANO


def floor(amount: Decimal) -> Decimal:
    """US dollars rounded down to a billionth, the least that rows can hold, but never to nothing."""
    return max(usd(1), usd(int((amount * NANO).to_integral_value(ROUND_FLOOR))))


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may use; None is no limit. Days are those of UTC.

    usd, tokens: since the key was made. usd_per_day, tokens_per_day: of the runs begun in one day. usd_per_run, tokens_per_run: of one run.
    requests_per_minute: of all requests. runs: at once, those that wait included.
    """

    usd: Decimal | None = None
    usd_per_day: Decimal | None = None
    usd_per_run: Decimal | None = None
    tokens: int | None = None
    tokens_per_day: int | None = None
    tokens_per_run: int | None = None
    requests_per_minute: int | None = None
    runs: int | None = None

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"a key's {name.replace('_', ' ')} must be more than 0, not {value}")

    @property
    def of_sums(self) -> bool:
        """Whether they limit several runs together."""
        together = (self.usd, self.usd_per_day, self.tokens, self.tokens_per_day, self.runs)
        return any(each is not None for each in together)

    def to_json(self) -> dict[str, Any]:
        """Only what is limited; dollars as strings."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
            if value is not None
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> KeyLimits:
        """What `to_json` gave."""
        read: dict[str, Any] = {
            name: Decimal(value) if name.startswith("usd") else value for name, value in values.items()
        }
        return cls(**read)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is known here: never the key itself. `start`: its first characters, so that people can tell keys apart."""

    id: str
    name: str
    start: str
    created: float
    revoked: float | None = None
    limits: KeyLimits = field(default_factory=KeyLimits)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run or several used. `usd` is what may have been charged at most."""

    usd: Decimal = Decimal(0)
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that asks to be admitted. `usd`, `tokens`: what it would like to have at most. spent: by an earlier process of it."""

    id: str
    owner: str
    model: str
    query: str
    usd: Decimal | None = None
    tokens: int | None = None
    spent: Spending = field(default_factory=Spending)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a run may use of its key's limits; None where they do not limit it."""

    usd: Decimal | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run of the server. `status`: 'active', 'interrupted' (the server died), or as in `Answer`. `model`: as it was asked for.
    `instance`: the process that worked on it last.
    """

    id: str
    owner: str
    instance: str
    created: float
    model: str
    query: str
    status: str
    reason: str
    spending: Spending


@dataclass(frozen=True, slots=True)
class ContextRow:
    """An uploaded context. `used`: when it was asked about last, seconds since the epoch."""

    id: str
    owner: str
    name: str
    sha256: str
    bytes: int
    created: float
    used: float
