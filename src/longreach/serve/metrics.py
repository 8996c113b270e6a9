"""Numbers for Prometheus.

Covers: requests, runs, tokens, dollars, as `/metrics` shows them; no question, key or path is among their labels. Does not cover: traces
(`serve.tracing`).

The processes of one server keep theirs in files that all of them read, by prometheus_client's multiprocess mode: what one that died had
counted stays, so that no counter ever goes back. That mode is chosen by a variable that must be set before the module is imported.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from longreach.runs.events import RunEnded
    from longreach.serve.models import Choice

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RUN_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
REQUEST_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300)


class Metrics:
    """The counters of one process. `shared`: the folder of those of all processes, where there are several."""

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        on = self._registry
        self._requests = Counter("longreach_requests", "Requests answered", ["route", "method", "status"], registry=on)
        self._seconds = Histogram(
            "longreach_request_seconds", "Until a response's headers", ["route"], buckets=REQUEST_SECONDS, registry=on
        )
        self._runs = Counter("longreach_runs", "Runs ended", ["strategy", "status"], registry=on)
        self._run_seconds = Histogram(
            "longreach_run_seconds", "Duration of runs", ["strategy"], buckets=RUN_SECONDS, registry=on
        )
        self._calls = Counter("longreach_model_calls", "Model calls", ["model"], registry=on)
        self._tokens = Counter("longreach_tokens", "Tokens", ["model", "direction"], registry=on)
        self._dollars = Counter("longreach_cost_usd", "US dollars, where the price is known", ["model"], registry=on)
        self._working = Gauge("longreach_runs_working", "Runs that work", registry=on, multiprocess_mode="livesum")
        self._waiting = Gauge(
            "longreach_runs_waiting", "Runs that wait for room", registry=on, multiprocess_mode="livesum"
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A response began."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def show_runs(self, working: int, waiting: int) -> None:
        """How many there are now."""
        self._working.set(working)
        self._waiting.set(waiting)

    def run_ended(self, choice: Choice, ended: RunEnded | None, *, failed: bool) -> None:
        """A run ended, or could not begin."""
        status = ended.status if ended else "failed" if failed else "cancelled"
        self._runs.labels(choice.strategy, status).inc()
        if ended is None:
            return
        self._run_seconds.labels(choice.strategy).observe(ended.usage.get("seconds", 0.0))
        for model, used in ended.usage.get("by_model", {}).items():
            self._calls.labels(model).inc(used["calls"])
            self._tokens.labels(model, "input").inc(used["input_tokens"])
            self._tokens.labels(model, "output").inc(used["output_tokens"])
            self._dollars.labels(model).inc(float(Decimal(used["cost_usd"] or 0)))

    def render(self) -> bytes:
        """The text format; summed over all processes."""
        if self._shared is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(registry)
