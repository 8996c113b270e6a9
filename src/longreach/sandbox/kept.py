"""One sandbox for several runs, one after another, so that its variables live on between them.

Covers: lending it to a run, handing the code's calls to the run that has it, which variables it holds. A run that asks while it is lent
(a child run) gets a sandbox of its own. Does not cover: sandboxes themselves, lost workers (`session` replaces them and says what is lost).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from longreach.context import Context
from longreach.errors import UsageError
from longreach.sandbox.base import (
    CallFailed,
    Calls,
    Foresighted,
    Handler,
    IsolationReport,
    Limits,
    Lost,
    Observation,
    Sandbox,
    Variable,
)

__all__ = ["KeptSandbox"]

_Job = tuple[str, tuple[str, ...], Limits]


class KeptSandbox:
    """Keeps one sandbox open until `close`. Belongs to one event loop."""

    def __init__(self, open_one: Callable[[], Sandbox]) -> None:
        self._open_one = open_one
        self._sandbox: Sandbox | None = None
        self._job: _Job | None = None
        self._calls: Calls = {}
        self._foresighted: dict[str, Foresighted] = {}
        self._variables: dict[str, Variable] = {}
        self._lent = False
        self._closed = False

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What code has bound and not lost, those bound last at the end."""
        return tuple(self._variables.values())

    def lend(self) -> Sandbox:
        """The kept sandbox, to be started and closed by a run as if it were new; a fresh one while another run has it."""
        if self._closed:
            raise UsageError("the chat is over: open another one")
        if self._lent:
            return self._open_one()
        self._lent = True
        return _Loan(self)

    async def close(self) -> None:
        """End the worker. May be called twice."""
        self._closed = True
        await self._forget()

    # --- for the loan

    async def start(self, context: Context, calls: Calls, limits: Limits) -> Sandbox:
        """The sandbox with these calls: the one that there is, if it was started for the same."""
        job = (context.sha256, tuple(calls), limits)
        if self._sandbox is not None and self._job != job:
            await self._forget()
        self._calls = calls
        self._foresighted = {name: each for name, each in calls.items() if isinstance(each, Foresighted)}
        if self._sandbox is None:
            sandbox = self._open_one()
            handlers = {name: _ForesightedHandler if name in self._foresighted else _Handler for name in calls}
            try:
                await sandbox.start(context, {name: kind(self, name) for name, kind in handlers.items()}, limits)
            except BaseException:
                await sandbox.close()
                raise
            self._sandbox, self._job = sandbox, job
        else:
            # a draft of the last answer must not be taken for one of the next
            await self._sandbox.assign({"answer": {"content": "", "ready": False}})
        return self._sandbox

    def note(self, observation: Observation) -> None:
        """Keep account of the variables."""
        for name in observation.lost.variables if observation.lost else ():
            self._variables.pop(name, None)
        for each in observation.variables:
            self._variables.pop(each.name, None)
            self._variables[each.name] = each

    def give_back(self) -> None:
        """The run has ended; code that still runs in a thread reaches nobody."""
        self._calls, self._foresighted = {}, {}
        self._lent = False

    def handler_now(self, name: str) -> Handler | None:
        """The handler of the run that has the sandbox; None between runs."""
        return self._calls.get(name)

    def foresighted_now(self, name: str) -> Foresighted | None:
        """The same, where it can begin on calls."""
        return self._foresighted.get(name)

    async def _forget(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        self._variables = {}
        if sandbox is not None:
            await sandbox.close()


class _Handler:
    """Hands the code's calls to the run that has the sandbox."""

    def __init__(self, kept: KeptSandbox, name: str) -> None:
        self._kept = kept
        self._name = name

    async def __call__(self, arguments: Mapping[str, Any], /) -> Any:
        handler = self._kept.handler_now(self._name)
        if handler is None:
            raise CallFailed(f"{self._name} can be called only while a question is being answered")
        return await handler(arguments)


class _ForesightedHandler(_Handler):
    """The same for calls that can be begun before they are made."""

    def room(self) -> int:
        handler = self._kept.foresighted_now(self._name)
        return 0 if handler is None else handler.room()

    def ahead(self, arguments: Mapping[str, Any]) -> None:
        handler = self._kept.foresighted_now(self._name)
        if handler is not None:
            handler.ahead(arguments)

    def ready(self, arguments: Mapping[str, Any]) -> Any:
        handler = self._kept.foresighted_now(self._name)
        return None if handler is None else handler.ready(arguments)

    def peek(self, arguments: Mapping[str, Any]) -> str | None:
        handler = self._kept.foresighted_now(self._name)
        return None if handler is None else handler.peek(arguments)


class _Loan:
    """The kept sandbox in the hands of one run."""

    def __init__(self, kept: KeptSandbox) -> None:
        self._kept = kept
        self._sandbox: Sandbox | None = None
        self._over = False

    @property
    def report(self) -> IsolationReport:
        """Raises `UsageError` before `start`."""
        return self._started().report

    async def start(self, context: Context, calls: Calls, limits: Limits) -> None:
        """Make it ready for this run. Raises `SandboxUnavailable`, `ContextTooLarge`, `WorkerDied`."""
        self._sandbox = await self._kept.start(context, calls, limits)

    async def run(self, code: str, timeout: float) -> Observation:
        """As any sandbox does."""
        observation = await self._started().run(code, timeout)
        self._kept.note(observation)
        return observation

    async def assign(self, variables: Mapping[str, Any]) -> None:
        """As any sandbox does."""
        await self._started().assign(variables)

    async def snapshot(self) -> bytes:
        """As any sandbox does."""
        return await self._started().snapshot()

    async def restore(self, blob: bytes) -> Lost:
        """As any sandbox does."""
        return await self._started().restore(blob)

    async def close(self) -> None:
        """Give it back with its variables. May be called twice."""
        if not self._over:
            self._over, self._sandbox = True, None
            self._kept.give_back()

    def _started(self) -> Sandbox:
        if self._sandbox is None:
            raise UsageError("the sandbox has not been started, or was given back")
        return self._sandbox
