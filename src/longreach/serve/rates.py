"""How often a key may ask.

Covers: requests a minute per key, as a bucket that refills steadily. Does not cover: runs at once and budgets (`serve.state`), buckets that
the processes of one server share (`serve.shared_rates`). Several servers each allow the full rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from longreach.serve.failures import ApiError

__all__ = ["Bucket", "RateLimit", "Rates"]

REMEMBERED = 10_000  # keys; beyond that those that asked longest ago start anew


class RateLimit(Protocol):
    """Counts the requests of keys."""

    def take(self, key_id: str, per_minute: int) -> None:
        """Count one request. Raises `ApiError` (429, with the seconds to wait) when the bucket is empty."""
        ...


class Bucket(NamedTuple):
    """How many requests a key may make at once, and when that was so, by the clock that counts."""

    level: float
    at: float

    def refilled(self, now: float, per_minute: int) -> Bucket:
        """What it holds by now."""
        return Bucket(min(float(per_minute), self.level + (now - self.at) * per_minute / 60), now)

    def without_one(self, per_minute: int) -> Bucket:
        """After a request. Raises `ApiError` (429) when it holds none."""
        if self.level < 1:
            raise ApiError(
                429,
                "rate_limit_exceeded",
                f"this key may make {per_minute} requests a minute",
                retry_after=(1 - self.level) * 60 / per_minute,
            )
        return Bucket(self.level - 1, self.at)


class Rates:
    """The buckets of all keys, of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, key_id: str, per_minute: int) -> None:
        """Count one request. Raises `ApiError` (429, with the seconds to wait) when the bucket is empty."""
        now = self._clock()
        bucket = self._buckets.pop(key_id, Bucket(per_minute, now)).refilled(now, per_minute)
        self._buckets[key_id] = bucket
        if len(self._buckets) > REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key_id] = bucket.without_one(per_minute)
