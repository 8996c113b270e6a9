"""The options of a run, and how a journal keeps them.

Covers: `Options`, the same as keywords, and the event from which a run can be opened again. Does not cover: opening it
(`longreach.api`, `longreach.resume`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from longreach.context import Context, ReadOptions
from longreach.models.base import Model
from longreach.models.prices import FlatPrice
from longreach.models.registry import ModelOptions
from longreach.runs import Budget, Ledger, Record, Settings
from longreach.runs.earlier import Earlier
from longreach.runs.events import RunOpened, RunStarted
from longreach.runs.run import Progress
from longreach.runs.store import ROOT_BRANCH
from longreach.sandbox import Limits
from longreach.sandbox.factory import SandboxOptions
from longreach.version import VERSION

__all__ = ["DEFAULT_MODEL", "AskOptions", "Options", "opened_event", "options_of"]

DEFAULT_MODEL = "local/qwen2.5-coder-1.5b"
_T = TypeVar("_T")
# one of each for all runs: none can be changed
_BUDGET, _SETTINGS, _MODEL_OPTIONS = Budget(), Settings(), ModelOptions()
_SANDBOX_OPTIONS, _READ_OPTIONS = SandboxOptions(), ReadOptions()


@dataclass(frozen=True, slots=True)
class Options:
    """How a query is answered.

    model, sub_model: a name as `longreach models` lists it, or a `Model` of your own; the sub-model is the root model when not given.
    fallback: models that a call is made on, in this order, when it has failed for good on its own.
    sub_model_options: what is said of the sub-model beside its name; by default the same as of the root model.
    listener: called with every journal record as it is written; `progress` gets the pieces of replies as they stream.
    journal_opened: called with the journal's file as soon as the run has one.
    ledger: a ledger that the run draws on beside its own budget, so that many runs of one event loop share a larger one.
    """

    model: str | Model = DEFAULT_MODEL
    sub_model: str | Model | None = None
    fallback: Sequence[str | Model] = ()
    strategy: str = "rlm"
    budget: Budget = _BUDGET
    settings: Settings = _SETTINGS
    model_options: ModelOptions = _MODEL_OPTIONS
    sub_model_options: ModelOptions | None = None
    sandbox: SandboxOptions = _SANDBOX_OPTIONS
    read: ReadOptions = _READ_OPTIONS
    listener: Callable[[Record], None] | None = None
    progress: Progress | None = None
    journal_opened: Callable[[Path], None] | None = None
    ledger: Ledger | None = None


class AskOptions(TypedDict, total=False):
    """The fields of `Options`, as keywords of `ask`, `aask` and `RLM`."""

    model: str | Model
    sub_model: str | Model | None
    fallback: Sequence[str | Model]
    strategy: str
    budget: Budget
    settings: Settings
    model_options: ModelOptions
    sub_model_options: ModelOptions | None
    sandbox: SandboxOptions
    read: ReadOptions
    listener: Callable[[Record], None] | None
    progress: Progress | None
    journal_opened: Callable[[Path], None] | None
    ledger: Ledger | None


def opened_event(context: Context, options: Options, earlier: Earlier) -> RunOpened:
    """What it takes to open the run again. Keys are never among the options, so none gets here."""

    def name(model: str | Model | None) -> str | None:
        return model if model is None or isinstance(model, str) else model.name

    recorded = {
        "model": name(options.model),
        "sub_model": name(options.sub_model),
        "fallback": [name(each) for each in options.fallback],
        "model_options": _to_json(options.model_options),
        "sandbox": _to_json(options.sandbox),
        "read": _to_json(options.read),
    }
    if options.sub_model_options:
        recorded["sub_model_options"] = _to_json(options.sub_model_options)
    if earlier:
        recorded["earlier"] = _to_json(earlier)
    return RunOpened(ROOT_BRANCH, VERSION, list(context.sources), recorded)


def options_of(opened: RunOpened, started: RunStarted, given: Options) -> Options:
    """The options with which a run was opened. `given` brings what no journal holds: who listens, and models that are objects."""
    recorded = opened.options
    by_name = isinstance(given.model, str)
    fallback = given.fallback or tuple(recorded.get("fallback", ()))
    return replace(
        given,
        model=recorded["model"] if by_name else given.model,
        sub_model=recorded["sub_model"] if by_name else given.sub_model,
        fallback=fallback,
        strategy=started.strategy,
        budget=Budget(**started.budget),
        settings=replace(_from_json(Settings, started.settings), limits=_from_json(Limits, started.settings["limits"])),
        model_options=_model_options(recorded["model_options"]),
        sub_model_options=_model_options(of_sub) if (of_sub := recorded.get("sub_model_options")) else None,
        sandbox=_from_json(SandboxOptions, recorded["sandbox"]),
        read=_from_json(ReadOptions, recorded["read"]),
    )


def _model_options(recorded: Mapping[str, Any]) -> ModelOptions:
    options = _from_json(ModelOptions, recorded)
    price = recorded.get("price")
    return replace(options, price=_from_json(FlatPrice, price)) if price else options


_PLAIN = frozenset({type(None), str, int, float, bool})


def _to_json(value: Any) -> Any:
    kind: type[Any] = type(value)
    if kind in _PLAIN:
        return value
    if is_dataclass(kind):
        return {name: _to_json(getattr(value, name)) for name in _names(kind)}
    if isinstance(value, Mapping):
        return {name: _to_json(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_to_json(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _from_json(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """A dataclass of ours from what the journal holds; what is not there keeps its default."""
    assert is_dataclass(kind)
    types = {each.name: str(each.type) for each in fields(kind)}
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name in types and value is not None:
            is_decimal = "Decimal" in types[name] and isinstance(value, str)
            chosen[name] = Decimal(value) if is_decimal else tuple(value) if isinstance(value, list) else value
    return kind(**chosen)
