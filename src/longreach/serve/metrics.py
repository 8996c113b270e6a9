"""Numbers for Prometheus.

Covers: requests, runs, tokens, dollars, as `/metrics` shows them; no question, key or path is among their labels. Does not cover: traces
(`serve.tracing`).

The processes of one server keep theirs in files that all of them read, by prometheus_client's multiprocess mode: what one that died had
counted stays, so that no counter ever goes back. That mode is chosen by a variable that must be set before the module is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from longreach.runs.events import RunEnded
    from longreach.serve.models import Choice

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RUN_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
REQUEST_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300)
_Metric = TypeVar("_Metric", Counter, Histogram)


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
        self._shown = 0, 0  # as both are now
        self._labelled: dict[tuple[Any, ...], Any] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A response began."""
        self._of(self._requests, route, method, str(status)).inc()
        self._of(self._seconds, route).observe(seconds)

    def show_runs(self, working: int, waiting: int) -> None:
        """How many there are now."""
        if working != self._shown[0]:
            self._working.set(working)
        if waiting != self._shown[1]:
            self._waiting.set(waiting)
        self._shown = working, waiting

    def run_ended(self, choice: Choice, ended: RunEnded | None, *, failed: bool) -> None:
        """A run ended, or could not begin."""
        status = ended.status if ended else "failed" if failed else "cancelled"
        self._of(self._runs, choice.strategy, status).inc()
        if ended is None:
            return
        self._of(self._run_seconds, choice.strategy).observe(ended.usage.get("seconds", 0.0))
        for model, used in ended.usage.get("by_model", {}).items():
            self._of(self._calls, model).inc(used["calls"])
            self._of(self._tokens, model, "input").inc(used["input_tokens"])
            self._of(self._tokens, model, "output").inc(used["output_tokens"])
            self._of(self._dollars, model).inc(float(used["cost_usd"] or 0))

    def _of(self, metric: _Metric, *labels: str) -> _Metric:
        """The metric with these labels; to ask it for them anew takes longer than to count."""
        known: _Metric | None = self._labelled.get((metric, *labels))
        if known is None:
            known = self._labelled[(metric, *labels)] = metric.labels(*labels)
        return known

    def render(self) -> bytes:
        """The text format; summed over all processes."""
        if self._shared is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(registry)
