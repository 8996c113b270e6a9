"""Longreach, as the shared figures run it: defaults throughout, the sandbox with all its layers, the journal on disk."""

from __future__ import annotations

from longreach import event_loop
from longreach.api import answer_query
from longreach.context import Context
from longreach.models.registry import ModelOptions
from longreach.options import Options
from longreach.runs import Budget
from perf.jobs import STEPS, Dialect

__all__ = ["DIALECT", "answer", "complete", "options"]

DIALECT = Dialect(
    reply=lambda code: f"```repl\n{code}\n```", submit="FINAL(result)", child="rlm_query('Say 1.', context=text)"
)


def options(base_url: str) -> Options:
    """Of one run; the model is whatever the server says."""
    return Options(
        model="perf",
        model_options=ModelOptions(base_url=base_url, context_window=1_000_000),
        budget=Budget(depth=2, steps=STEPS + 5),
    )


async def answer(context: str, base_url: str) -> str:
    """One run on the running loop. Raises RuntimeError when it is not complete."""
    done = await answer_query("What does it say?", Context.from_text(context), options(base_url))
    if done.status != "complete":
        raise RuntimeError(f"{done.status}: {done.reason}")
    return done.text


def complete(context: str, base_url: str) -> str:
    """One run on a loop of its own."""
    return event_loop.run(answer(context, base_url))
