"""What the schemes share that add an adapter in each increment.

Covers: training the newest adapter, keeping all of them. Does not cover: which of them take part (`lora_per_task`, `stacked_lora`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from longreach.continual.methods.interfaces import Increment, Setting
from longreach.continual.methods.parameters import Lora
from longreach.continual.training.parts.adapters import Adapters, adapter_name
from longreach.continual.training.parts.base import PartBase

__all__ = ["AdapterEachIncrement"]


class AdapterEachIncrement(PartBase, ABC):
    """Adapters pile up; the newest is trained, the earlier ones are frozen."""

    def __init__(self, configuration: Lora) -> None:
        self._adapters = Adapters(configuration)

    @abstractmethod
    def taking_part(self) -> Sequence[str]:
        """The adapters that answer, outside of a task's own view."""

    def before_increment(self, setting: Setting, increment: Increment) -> None:
        """Add an adapter."""
        name = adapter_name(increment.number)
        self._adapters.add(setting, name)
        self._adapters.use(self.taking_part(), name)

    def trainable(self, setting: Setting) -> Iterable[Any]:
        """The newest adapter's weights."""
        return list(self._adapters.weights(self._adapters.names[-1]).values())

    def storage(self) -> Mapping[str, int]:
        """All adapters."""
        return {"adapters": self._adapters.bytes_of(self._adapters.names)}

    def state(self) -> Mapping[str, Any]:
        """Their weights."""
        return {"adapters": self._adapters.state()}

    def load_state(self, setting: Setting, state: Mapping[str, Any]) -> None:
        """Put them back."""
        self._adapters.load_state(setting, state["adapters"])
        self._adapters.use(self.taking_part(), None)
