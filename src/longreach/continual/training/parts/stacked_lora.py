"""A new adapter each increment on top of the earlier ones.

Covers: the scheme `stacked_lora`: all adapters take part, only the newest is trained. Does not cover: keeping them apart (`orthogonal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from longreach.continual.methods.interfaces import Setting
from longreach.continual.methods.parameters import StackedLora
from longreach.continual.training.parts.adapter_each_increment import AdapterEachIncrement
from longreach.continual.training.parts.base import implements

__all__ = ["StackedAdapters"]


@implements(StackedLora)
class StackedAdapters(AdapterEachIncrement):
    """The model and the sum of all adapters so far."""

    def taking_part(self) -> Sequence[str]:
        """All of them."""
        return self._adapters.names

    def view(self, setting: Setting, task: str | None) -> AbstractContextManager[Any]:
        """One model for all tasks."""
        return nullcontext()

    def restart(self, setting: Setting) -> None:
        """Not used: this scheme goes with no data scheme that starts anew."""
