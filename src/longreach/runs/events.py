"""What can happen in a run.

Covers: one frozen dataclass per kind of event, and their JSON form. Does not cover: where events are kept (`runs.journal`).
Field names are the journal's schema: changing one means a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from longreach.errors import JournalError

__all__ = [
    "SCHEMA_VERSION",
    "CallEnded",
    "CallFailed",
    "CallRetried",
    "CallStarted",
    "CodeEnded",
    "CodeStarted",
    "Compacted",
    "Confident",
    "Corrected",
    "Event",
    "LimitReached",
    "RunEnded",
    "RunOpened",
    "RunResumed",
    "RunStarted",
    "SandboxStarted",
    "StepStarted",
    "event_from_json",
]

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. `branch` names the run in the tree: '0' is the root run, '0.2' its second child run."""

    kind: ClassVar[str] = ""
    branch: str

    def to_json(self) -> dict[str, Any]:
        """The event as JSON values, its kind under 'event'."""
        return {"event": self.kind} | {name: getattr(self, name) for name in _NAMES[type(self)]}


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run or child run begins.

    context: sha256, characters, number of parts, sources (absolute paths) and, where it did not come from files, the text.
    """

    kind: ClassVar[str] = "run.started"
    query: str
    strategy: str
    models: Mapping[str, str]
    budget: Mapping[str, Any]
    context: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunOpened(Event):
    """What a run was asked for, so that it can be opened again: names, paths and options, never a key.

    sources: the paths as given, made absolute; empty when the context came as text.
    """

    kind: ClassVar[str] = "run.opened"
    version: str
    sources: Sequence[str]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunResumed(Event):
    """Another process goes on with the run; `process` counts from 2."""

    kind: ClassVar[str] = "run.resumed"
    process: int


@dataclass(frozen=True, slots=True)
class SandboxStarted(Event):
    """A sandbox is ready. `layers`: name, active, detail of each isolation layer."""

    kind: ClassVar[str] = "sandbox.started"
    backend: str
    layers: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A root-model turn begins; steps count from 1."""

    kind: ClassVar[str] = "step.started"
    step: int


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """A model call is about to be sent.

    call: its name in the run, e.g. '0/s3/c2' (branch, step, number within the step); the same in every replay. '0/s3/c2.f1' is the same
        call on its first fallback model.
    purpose: 'root', 'sub', 'last' or a strategy's own word.
    key: hash of model, messages and parameters; equal requests have equal keys.
    reserved: calls, tokens and dollars set aside for it.
    waited_seconds: how long it had to wait for one of the slots for calls in flight.
    """

    kind: ClassVar[str] = "call.started"
    call: str
    purpose: str
    model: str
    key: str
    messages: Sequence[Mapping[str, str]]
    parameters: Mapping[str, Any]
    reserved: Mapping[str, Any]
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CallRetried(Event):
    """An attempt failed and is repeated."""

    kind: ClassVar[str] = "call.retried"
    call: str
    error: str
    message: str
    delay: float
    possibly_charged: bool


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """A model call was answered. `cost_usd` is None where the price is not known.

    reused_from: the equal call that answered it, or 'cache' for one of an earlier run.
    """

    kind: ClassVar[str] = "call.ended"
    call: str
    text: str
    reasoning: str
    usage: Mapping[str, int]
    usage_estimated: bool
    cost_usd: str | None
    stop_reason: str
    latency: float
    reused_from: str | None = None


@dataclass(frozen=True, slots=True)
class AheadStarted(Event):
    """A call is about to be sent that the code has not made yet. Fields as in `CallStarted`.

    When the code makes it, it is recorded as that call, under that call's name; when the run ends without, as one of purpose 'speculative'.
    """

    kind: ClassVar[str] = "ahead.started"
    call: str
    model: str
    key: str
    messages: Sequence[Mapping[str, str]]
    parameters: Mapping[str, Any]
    reserved: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AheadEnded(Event):
    """Such a call was answered. Fields as in `CallEnded`."""

    kind: ClassVar[str] = "ahead.ended"
    call: str
    text: str
    reasoning: str
    usage: Mapping[str, int]
    usage_estimated: bool
    cost_usd: str | None
    stop_reason: str
    latency: float


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """A model call failed for good, or was cancelled."""

    kind: ClassVar[str] = "call.failed"
    call: str
    error: str
    message: str
    possibly_charged: bool


@dataclass(frozen=True, slots=True)
class CodeStarted(Event):
    """Model-written code is about to run."""

    kind: ClassVar[str] = "code.started"
    step: int
    code: str


@dataclass(frozen=True, slots=True)
class CodeEnded(Event):
    """Model-written code ended. Fields as in `sandbox.Observation`."""

    kind: ClassVar[str] = "code.ended"
    step: int
    status: str
    output: str
    dropped_chars: int
    error: Mapping[str, str] | None
    variables: Sequence[Mapping[str, str]]
    final: str | None
    seconds: float
    lost: Mapping[str, str] | None = None
    draft: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Corrected(Event):
    """The model's turn could not be used as it is, and it was told so. `problem` is a short name, e.g. 'no-code'."""

    kind: ClassVar[str] = "step.corrected"
    step: int
    problem: str
    message: str


@dataclass(frozen=True, slots=True)
class Compacted(Event):
    """The root's history was shortened to fit its window: how many messages were replaced, and by what text."""

    kind: ClassVar[str] = "history.compacted"
    step: int
    replaced: int
    text: str


@dataclass(frozen=True, slots=True)
class Confident(Event):
    """The run stops early, since its answer is confident enough. `source`: 'self-reported' or 'agreement'."""

    kind: ClassVar[str] = "run.confident"
    step: int
    confidence: float
    source: str


@dataclass(frozen=True, slots=True)
class LimitReached(Event):
    """A budget's resource is spent, or what is left of it is kept for the last answer."""

    kind: ClassVar[str] = "limit.reached"
    resource: str
    message: str


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run or child run ended. Fields as in `Answer`."""

    kind: ClassVar[str] = "run.ended"
    status: str
    text: str
    reason: str
    confidence: float | None
    usage: Mapping[str, Any] = field(default_factory=dict)


_NAMES = {each: tuple(field.name for field in fields(each)) for each in Event.__subclasses__()}
_KINDS: dict[str, type[Event]] = {each.kind: each for each in Event.__subclasses__()}


def event_from_json(values: Mapping[str, Any]) -> Event:
    """The event that `Event.to_json` wrote; fields that this version does not know are left out. Raises `JournalError`."""
    try:
        cls = _KINDS[values["event"]]
        return cls(**{name: values[name] for name in _NAMES[cls] if name in values})
    except (KeyError, TypeError) as error:
        raise JournalError(f"not an event of schema version {SCHEMA_VERSION}: {error}") from error
