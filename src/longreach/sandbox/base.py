"""Where model-written code runs, as the rest of Longreach sees it.

Covers: the `Sandbox` protocol and the values that pass through it. Does not cover: how a worker is isolated or spoken to (`sandbox.local`
and the other backends), nor what a call from the code does (`strategies`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from longreach.context import Context
from longreach.errors import LongreachError

__all__ = [
    "CallFailed",
    "Calls",
    "CodeError",
    "Foresighted",
    "Handler",
    "IsolationReport",
    "Layer",
    "Limits",
    "Lost",
    "Observation",
    "ObservationStatus",
    "Sandbox",
    "Variable",
]

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Serves one named call from model-written code: JSON arguments in, a JSON value out. May be called many times at once."""

Calls = Mapping[str, Handler]
"""What the code may ask of the host. Nothing else can be reached; the names decide which functions the REPL offers."""


@runtime_checkable
class Foresighted(Protocol):
    """A `Handler` that can begin on calls before the code makes them. A sandbox that can look ahead tells it which those will be."""

    async def __call__(self, arguments: Mapping[str, Any], /) -> Any:
        """Serve a call, begun or not."""
        ...

    def room(self) -> int:
        """How many more calls may be begun now; 0 or less for none."""
        ...

    def ahead(self, arguments: Mapping[str, Any]) -> None:
        """Begin on this call, which may never be made."""
        ...

    def ready(self, arguments: Mapping[str, Any]) -> Any:
        """The value of this call, which is made now, where it is known already; else None, and the call is served as any other."""
        ...

    def peek(self, arguments: Mapping[str, Any]) -> str | None:
        """What `ready` would give, while nothing is made yet. The code may be given it in advance; that it was used is told by `ready`."""
        ...


class CallFailed(LongreachError):
    """Raised by a `Handler` to make the call raise in the code, with this message. Anything else a handler raises ends the step."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What model-written code may use.

    memory_bytes: over what the worker has after start-up and attaching the context; beyond it the code sees MemoryError.
    output_chars: printed text kept per step; beyond it the middle is dropped, head and tail stay.
    prompt_chars: the longest single prompt a call may carry; beyond it the code sees ValueError.
    calls_per_step: calls to the host in one step; beyond it the code sees RuntimeError.
    grace_seconds: between the interrupt at a time-out and the kill.
    """

    memory_bytes: int = 1 << 30
    output_chars: int = 200_000
    prompt_chars: int = 8_000_000
    calls_per_step: int = 10_000
    grace_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class CodeError:
    """An exception that model-written code did not catch. `traceback` shows the code's own frames only, as Python prints them."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a step made or rebound: its name, its type, and its size in words ('17 items', '2,000 characters'), if any."""

    name: str
    type: str
    size: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """What a restored session no longer has: name to reason. Empty when everything was saved."""

    variables: Mapping[str, str] = field(default_factory=dict)


ObservationStatus = Literal["ok", "error", "timeout", "killed", "died", "protocol"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What one step of code did.

    status: 'ok'; 'error', an uncaught exception; 'timeout', interrupted with the session kept; 'killed', the time was up and the session
        was lost; 'died', the worker ended by itself (exit, crash); 'protocol', it broke the wire protocol and was killed.
    output: what was printed (standard output and error, in order), capped; `dropped_chars` says how much of its middle is missing.
    final: the text submitted by FINAL, FINAL_VAR or answer['ready'], or None.
    draft: what answer['content'] holds at the end of the step, '' for nothing; the best answer so far.
    confidence: between 0 and 1, as the code gave it with the answer or the draft (answer['confidence'], FINAL(x, confidence=...)).
    lost: after 'killed', 'died' or 'protocol', what the replacement worker could not get back; None when the session went on unharmed.
    """

    status: ObservationStatus
    output: str
    error: CodeError | None
    variables: tuple[Variable, ...]
    final: str | None
    seconds: float
    dropped_chars: int = 0
    lost: Lost | None = None
    draft: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One isolation layer. `detail` says why it is off, or what it covers."""

    name: str
    active: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """Which layers hold this worker, and why the others do not."""

    backend: str
    layers: tuple[Layer, ...]

    def active(self, name: str) -> bool:
        """Whether the layer called `name` is on."""
        return any(layer.active for layer in self.layers if layer.name == name)


class Sandbox(Protocol):
    """One session of model-written code: variables live from step to step. One step runs at a time."""

    @property
    def report(self) -> IsolationReport:
        """Known once started."""
        ...

    async def start(self, context: Context, calls: Calls, limits: Limits) -> None:
        """Make the session ready. Raises `SandboxUnavailable`, `ContextTooLarge`, `WorkerDied`."""
        ...

    async def run(self, code: str, timeout: float) -> Observation:
        """Run one step for at most `timeout` seconds; time in which the code only waits for calls to the host is not counted.

        After the session was lost a new one stands in, restored from the last snapshot. What a handler raises, other than
        `CallFailed`, ends the step and is raised here, with the session kept.
        """
        ...

    async def assign(self, variables: Mapping[str, Any]) -> None:
        """Set variables of the session to JSON values, e.g. `history`. Between steps only."""
        ...

    async def snapshot(self) -> bytes:
        """The session's variables as a blob that only a worker can read; to the host it is opaque."""
        ...

    async def restore(self, blob: bytes) -> Lost:
        """Bring variables back into this session. Raises `SnapshotMismatch`."""
        ...

    async def close(self) -> None:
        """End the worker; nothing of it is left. May be called twice."""
        ...
