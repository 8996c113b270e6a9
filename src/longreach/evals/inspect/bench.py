"""`longreach bench` on Inspect's eval-set.

Covers: benchmarks x strategies x models as one set of tasks, resumed where its folder already holds some; the common budget.
Does not cover: the command line (`cli.bench`), reading the logs (`logs`), any benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval_set
from inspect_ai.model import Model, get_model

from longreach.errors import UsageError
from longreach.evals.catalogue import CATALOGUE
from longreach.evals.inspect import _registry
from longreach.evals.inspect.logs import LOGS, read_records
from longreach.evals.inspect.provider import PREFIX
from longreach.evals.inspect.searching import SEARCH, searched
from longreach.evals.inspect.session import Purse, Session, open_session
from longreach.evals.records import Record
from longreach.models.registry import ModelOptions, check_name
from longreach.runs import Budget
from longreach.runs.ledger import Amount

__all__ = ["INSPECT_PREFIX", "Plan", "check_plan", "inspect_name", "run_bench"]

RUNS = "runs"  # the folder of journals beside that of logs
INSPECT_PREFIX = "inspect/"
LOG_BUFFER = 10  # finished samples until they are written; the journals outlive a crash before that
ATTEMPTS = 2  # passes over what failed, before the command gives up


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. parameters: of the tasks, `RunOptions` included. total: what all samples together may spend.

    models, grader, sub_model: names as `longreach models` lists them, or `inspect/PROVIDER/MODEL` for one of Inspect's.
    model_arguments: of our models: base_url, price. concurrency: samples in flight at once.
    """

    benchmarks: Sequence[str]
    models: Sequence[str]
    strategies: Sequence[str]
    out: Path
    grader: str | None = None
    sub_model: str | None = None
    limit: int | None = None
    epochs: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    total: Budget = field(default_factory=Budget)
    model_arguments: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    quiet: bool = False


def run_bench(plan: Plan) -> bool:
    """Run what is not done yet; whether all of it is done now. Raises `UsageError` before anything is sent, KeyboardInterrupt
    when it was interrupted; what is finished then stays.
    """
    check_plan(plan)
    if plan.parameters.get("keys") == SEARCH:
        return searched(plan, run_bench)
    logs = plan.out / LOGS
    purse = _purse(plan, logs)
    with open_session(Session(plan.out / RUNS, purse)):
        for _ in range(ATTEMPTS):
            statuses = _run_set(plan, logs)
            if "cancelled" in statuses:
                raise KeyboardInterrupt
            if set(statuses) == {"success"}:
                return True
            if purse and purse.refused:
                break
    return False


def check_plan(plan: Plan) -> None:
    """What can be known to be wrong before anything is fetched, made or sent. Raises `UsageError`, `UnknownModel`."""
    unknown = [name for name in plan.benchmarks if name not in CATALOGUE]
    if unknown:
        raise UsageError(f"there is no benchmark '{unknown[0]}': there are {', '.join(CATALOGUE)}")
    if plan.out.exists() and not plan.out.is_dir():
        raise UsageError(f"{plan.out} is no folder: give another --out")
    options = ModelOptions(base_url=plan.model_arguments.get("base_url"))
    for name in (*plan.models, plan.grader, plan.sub_model):
        if name and not name.startswith(INSPECT_PREFIX):
            check_name(name, options)


def inspect_name(model: str) -> str:
    """Inspect's name of a model: ours get our provider's prefix."""
    return model.removeprefix(INSPECT_PREFIX) if model.startswith(INSPECT_PREFIX) else f"{PREFIX}{model}"


def _run_set(plan: Plan, logs: Path) -> list[str]:
    """How each task ended: success, error, cancelled."""
    tasks = _tasks(plan)
    roles = {"grader": plan.grader, "sub": plan.sub_model}
    _, found = eval_set(
        tasks,
        log_dir=str(logs),
        model=[_model(name, plan) for name in plan.models],
        model_roles={role: _model(name, plan) for role, name in roles.items() if name},
        epochs=plan.epochs,
        limit=plan.limit,
        max_samples=plan.concurrency,
        max_tasks=1,
        retry_attempts=0,
        retry_immediate=False,
        fail_on_error=True,
        continue_on_fail=True,
        log_realtime=False,
        log_buffer=LOG_BUFFER,
        log_dir_allow_dirty=True,
        display="none" if plan.quiet else "plain",
        ctl_server=False,
        acp_server=False,
        score_display=False,
    )
    # a task that is interrupted before its first log has none
    missing = len(tasks) * len(plan.models) - len(found)
    return [*(log.status for log in found), *["cancelled"] * missing]


def _tasks(plan: Plan) -> list[Task]:
    return [
        getattr(_registry, name)(**plan.parameters, strategy=strategy)
        for name in plan.benchmarks
        for strategy in plan.strategies
    ]


def _model(name: str, plan: Plan) -> Model:
    arguments = (
        {} if name.startswith(INSPECT_PREFIX) else {k: v for k, v in plan.model_arguments.items() if v is not None}
    )
    return get_model(inspect_name(name), **arguments)


def _purse(plan: Plan, logs: Path) -> Purse | None:
    total = plan.total
    if total.usd is None and total.tokens is None and total.calls is None:
        return None
    spent = Amount()
    for record in read_records([logs]) if logs.is_dir() else []:
        spent += _spent(record)
    return Purse(total, spent)


def _spent(record: Record) -> Amount:
    return Amount(record.calls, record.input_tokens + record.output_tokens, record.cost or Amount().usd)
