"""Joins the sandbox to the escape battery: `PYTHONPATH=tests/sandbox python .../run_battery.py battery_adapter:factory`.

The battery counts LEAK verdicts; LONGREACH_LAYERS=seccomp limits the sandbox to that soft-layer-free form, LONGREACH_BACKEND names another
backend than 'local'.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from longreach.context import Context
from longreach.sandbox import Limits
from longreach.sandbox.factory import SandboxOptions, open_sandbox


class Foreseeing:
    """`llm_query` of a host that lets the worker look ahead, and drops what it is told."""

    def __init__(self, host: Any) -> None:
        self._host = host

    async def __call__(self, parameters: Mapping[str, Any], /) -> Any:
        await asyncio.sleep(0.01)  # long enough for a scout
        return self._host.llm_query(parameters["prompt"])

    def room(self) -> int:
        return 16

    def ahead(self, parameters: Mapping[str, Any]) -> None: ...

    def ready(self, parameters: Mapping[str, Any]) -> None: ...

    def peek(self, parameters: Mapping[str, Any]) -> None: ...


class Adapter:
    """The battery's synchronous interface on top of the asynchronous one."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self._runner = asyncio.Runner()
        self._sandbox = open_sandbox(SandboxOptions(os.environ.get("LONGREACH_BACKEND", "local")))

    async def _llm_query(self, parameters: Mapping[str, Any]) -> Any:
        return self._host.llm_query(parameters["prompt"])

    async def _llm_query_batched(self, parameters: Mapping[str, Any]) -> Any:
        return [{"ok": True, "value": self._host.llm_query(prompt)} for prompt in parameters["prompts"]]

    def start(self, context: str) -> None:
        off = os.environ.get("LONGREACH_SPECULATE") == "off"
        calls = {
            "llm_query": self._llm_query if off else Foreseeing(self._host),
            "llm_query_batched": self._llm_query_batched,
        }
        limits = Limits(memory_bytes=512 << 20)
        self._runner.run(self._sandbox.start(Context.from_text(context), calls, limits))

    def step(self, code: str, timeout: float) -> SimpleNamespace:
        seen = self._runner.run(self._sandbox.run(code, timeout))
        error = (
            None
            if seen.error is None
            else {"type": seen.error.type, "msg": seen.error.message, "tb": seen.error.traceback}
        )
        return SimpleNamespace(status=seen.status, out=seen.output, err=error, final=seen.final, elapsed=seen.seconds)

    def snapshot(self) -> bytes:
        return self._runner.run(self._sandbox.snapshot())

    def close(self) -> None:
        self._runner.run(self._sandbox.close())
        self._runner.close()


def factory(host: Any) -> Adapter:
    """What the battery calls for each attack."""
    return Adapter(host)
