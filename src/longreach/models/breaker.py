"""A circuit breaker per endpoint: while an endpoint is down, calls to it fail at once instead of waiting and trying again.

Covers: when it opens, the single call that finds out whether the endpoint is back, one breaker for all models of an endpoint in this
process. Counted are calls that failed for good, not attempts: a server that restarts within the time of the retries opens nothing.
Does not cover: the retries (`models.retry`), what is done instead (`runs.calls` goes to a fallback model).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from longreach.errors import EndpointDown, ModelError, ModelTimeout, ProviderUnavailable

__all__ = ["Breaker", "BreakerPolicy", "breaker_of"]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """failures: calls in a row that must fail. open_seconds: how long calls then fail at once, before one may find out."""

    failures: int = 5
    open_seconds: float = 30.0


class Breaker:
    """The breaker of one endpoint. May be used by several threads.

    clock: seconds on a clock that never goes back.
    """

    def __init__(self, policy: BreakerPolicy | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None  # calls fail at once before this moment
        self._probing = False
        self._last = ""

    @contextmanager
    def watch(self, where: str) -> Iterator[bool]:
        """Watch one call. Yields whether it is the one that finds out if the endpoint is back, to be tried only once.

        where: the model and endpoint, for the message. Raises `EndpointDown` instead while the endpoint counts as down.
        """
        probing = self._admit(where)
        try:
            yield probing
        except (ProviderUnavailable, ModelTimeout) as error:
            self._failed(str(error), probing)
            raise
        except ModelError:
            self._answered()  # the endpoint is up, whatever it said
            raise
        except BaseException:
            self._abandoned(probing)
            raise
        self._answered()

    # --- inside

    def _admit(self, where: str) -> bool:
        with self._lock:
            if self._open_until is None:
                return False
            left = self._open_until - self._clock()
            if left <= 0 and not self._probing:
                self._probing = True
                return True
            last = self._last
        when = f"in {left:.0f} s" if left > 0 else "just now by another call"
        raise EndpointDown(
            f"{where} is down: {self._policy.failures} calls in a row failed, the last with: {last}. It is tried again {when}; "
            "ask again then, or name another model with --fallback",
            retry_after=max(0.0, left),
        )

    def _failed(self, message: str, probing: bool) -> None:
        with self._lock:
            self._failures += 1
            self._last = message
            if probing or self._failures >= self._policy.failures:
                self._open_until = self._clock() + self._policy.open_seconds
            self._probing = self._probing and not probing

    def _answered(self) -> None:
        if not self._failures and self._open_until is None:
            return  # as nearly always, without a lock
        with self._lock:
            self._failures, self._open_until, self._probing = 0, None, False

    def _abandoned(self, probing: bool) -> None:
        """A cancelled call says nothing; the next one may find out."""
        with self._lock:
            self._probing = self._probing and not probing


_breakers: dict[str, Breaker] = {}
_lock = threading.Lock()


def breaker_of(base_url: str) -> Breaker:
    """The one breaker of this endpoint in this process."""
    with _lock:
        return _breakers.setdefault(base_url, Breaker())
