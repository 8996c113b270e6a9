"""What the scripted root model does in each shared figure: the same code for Longreach and for its peers.

Covers: the code of the steps, how a library wants it written (`Dialect`), the server's script, the values that come of a run. Does not
cover: running a library (`perf.peers`). Standard library alone, since the peers' environment has nothing of ours.

Times are taken by the code itself, on the clock that all processes of a machine share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["JOBS", "Adapter", "Dialect", "Job", "run_job", "script_of"]

CALLS = 200
QUICK_CALLS = 500
CHILDREN = 5
STEPS = 205
LATENCY = 0.05
LINE = "The quick brown fox jumps over the lazy dog and runs on.\n"
LARGE = 100_000_000
HOLD_SECONDS = 0.3  # while memory is looked at
ASK_CHILD = "ask_child(text)"  # stands for a library's own way


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a library's root model writes: `reply` puts code into a reply, `submit` hands in the text variable `result`, `child` starts a
    child run about the text variable `text`.
    """

    reply: Callable[[str], str]
    submit: str
    child: str


class Adapter(Protocol):
    """One library: a module of `perf.peers`."""

    DIALECT: Dialect

    def complete(self, context: str, base_url: str) -> str:
        """Answer a query about `context` with the model at `base_url`; the submitted text."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run: when it began and ended, and what its code submitted (JSON)."""

    began: float
    ended: float
    result: Any


@dataclass(frozen=True, slots=True)
class Job:
    """steps: the code of the root's turns; the last one makes `result`. child: the one turn of child runs, instead of the root's next.

    latency: seconds before a sub-call is answered. values: the figures of a run, by name.
    """

    steps: tuple[str, ...]
    values: Callable[[Outcome], Mapping[str, float]]
    latency: float = 0.0
    context: Callable[[], str] = lambda: LINE
    child: str | None = None


def run_job(job: Job, adapter: Adapter, base_url: str) -> Mapping[str, float]:
    """One run of a job by a library, in this process, after a first one that loads what it loads late."""
    first = _run(LINE, adapter, base_url)
    outcome = _run(job.context(), adapter, base_url)
    return {"first-run": first.ended - first.began, **job.values(outcome)}


def _run(context: str, adapter: Adapter, base_url: str) -> Outcome:
    """Raises ValueError when the run's code did not submit what it should."""
    began = time.perf_counter()
    answer = adapter.complete(context, base_url)
    ended = time.perf_counter()
    try:
        return Outcome(began, ended, json.loads(answer))
    except ValueError:
        raise ValueError(f"the run did not end as it should: {answer[:500]!r}") from None


def script_of(job: Job, dialect: Dialect) -> dict[str, Any]:
    """The server's script: root turns in order, whatever the conversation; sub-calls are those without a system message."""
    *before, last = job.steps
    first = f"len(context)\nresult = 0\n{_submit(dialect)}"
    replies = [dialect.reply(first), *(dialect.reply(f"len(context)\n{code}") for code in before)]
    replies.append(dialect.reply(f"{last.replace(ASK_CHILD, dialect.child)}\n{_submit(dialect)}"))
    if job.child is not None:
        replies.append(dialect.reply(f"{job.child}\n{_submit(dialect)}"))
    return {
        "rules": [{"role": "sub", "text": "ok", "latency": job.latency}, {"role": "root", "replies": replies}],
        "context_window": 1_000_000,
    }


def _submit(dialect: Dialect) -> str:
    return f"import json\nresult = json.dumps(result)\n{dialect.submit}"


def _timed(code: str) -> str:
    return f"import time\nlen(context)\nbegan = time.perf_counter()\n{code}\nresult = time.perf_counter() - began\n"


def _looped(count: int) -> str:
    loop = f'replies = []\nfor number in range({count}):\n    replies.append(llm_query(f"question {{number}}"))'
    return _timed(loop) + _all_answered(count)


def _batched(count: int) -> str:
    batch = f'replies = llm_query_batched([f"question {{number}}" for number in range({count})])'
    return _timed(batch) + _all_answered(count)


def _all_answered(count: int) -> str:
    return f'assert replies == ["ok"] * {count}, replies[:3]\n'


def _children(count: int) -> str:
    return _timed(f'for number in range({count}):\n    text = f"a text, number {{number}}"\n    {ASK_CHILD}')


def _seconds(name: str) -> Callable[[Outcome], Mapping[str, float]]:
    return lambda outcome: {name: outcome.result, f"{name}-run": outcome.ended - outcome.began}


def _milliseconds_each(name: str, count: int) -> Callable[[Outcome], Mapping[str, float]]:
    return lambda outcome: {name: outcome.result / count * 1000}


def _step_times(outcome: Outcome) -> Mapping[str, float]:
    """Of a few neighbouring steps the one in the middle, at the beginning and at the 200th."""
    import statistics  # late: the memory of a run is measured too

    taken = [(after - before) * 1000 for before, after in zip(outcome.result, outcome.result[1:], strict=False)]
    return {"step-1": statistics.median(taken[:5]), "step-200": statistics.median(taken[197:203])}


def _steps() -> tuple[str, ...]:
    mark = "marks.append(time.perf_counter())"
    first = f"import time\nmarks = []\n{mark}"
    return (first, *(f"{mark}  # step {number}" for number in range(2, STEPS)), f"{mark}\nresult = marks\n")


def _large_text() -> str:
    return LINE * (LARGE // len(LINE))


JOBS: Mapping[str, Job] = {
    "looped": Job((_looped(CALLS),), _seconds("looped-200"), LATENCY),
    "batched": Job((_batched(CALLS),), _seconds("batched-200"), LATENCY),
    "sub-call": Job((_looped(QUICK_CALLS),), _milliseconds_each("sub-call", QUICK_CALLS)),
    "sub-call-batched": Job((_batched(QUICK_CALLS),), _milliseconds_each("sub-call-batched", QUICK_CALLS)),
    "child": Job((_children(CHILDREN),), _milliseconds_each("child", CHILDREN), child="len(context)\nresult = 1\n"),
    "steps": Job(_steps(), _step_times),
    "context": Job(
        ("import time\nlen(context)\nresult = time.perf_counter()\n",),
        lambda outcome: {"context-100mb": outcome.result - outcome.began},
        context=_large_text,
    ),
    "memory": Job(
        (f"import time\nlen(context)\ntime.sleep({HOLD_SECONDS})\nresult = 0\n",),
        lambda outcome: {},
        context=_large_text,
    ),
}
