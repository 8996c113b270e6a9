"""An adapter of its own for each increment.

Covers: the scheme `lora_per_task` ("progressive"): the adapter of a row's task answers it, so the task must be told. Does not cover:
guessing the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from longreach.continual.methods.interfaces import Setting
from longreach.continual.methods.parameters import LoraPerTask
from longreach.continual.training.parts.adapter_each_increment import AdapterEachIncrement
from longreach.continual.training.parts.adapters import adapter_name
from longreach.continual.training.parts.base import implements

__all__ = ["AdapterPerTask"]


@implements(LoraPerTask)
class AdapterPerTask(AdapterEachIncrement):
    """A task that has no adapter yet is answered by the model as it came; rows of no task by the newest adapter."""

    def taking_part(self) -> Sequence[str]:
        """The newest alone."""
        return self._adapters.names[-1:]

    def view(self, setting: Setting, task: str | None) -> AbstractContextManager[Any]:
        """The task's adapter alone."""
        if task is None:
            return self._adapters.using(self.taking_part())
        name = next((adapter_name(k) for k, tasks in enumerate(setting.plan.increments) if task in tasks), "")
        return self._adapters.using([name] if name in self._adapters.names else [])

    def restart(self, setting: Setting) -> None:
        """Each increment starts from the base model anyway."""
