"""What the schemes share that train the model's own weights.

Covers: one model for all tasks, keeping its weights and putting them back. Does not cover: which are trained (`full`, `osf`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from longreach.continual.methods.interfaces import Setting
from longreach.continual.training.parts.base import PartBase

__all__ = ["OwnWeights"]


class OwnWeights(PartBase):
    """A model without anything beside it. `_model`: set in `before_increment` and when a state is loaded."""

    _model: Any = None

    def trainable(self, setting: Setting) -> Iterable[Any]:
        """Those that were chosen before the increment."""
        return list(setting.engine.named_trainable().values())

    def view(self, setting: Setting, task: str | None) -> AbstractContextManager[Any]:
        """One model for all tasks."""
        return nullcontext()

    def state(self) -> Mapping[str, Any]:
        """All weights."""
        return {"weights": {name: weight.detach() for name, weight in self._model.named_parameters()}}

    def load_state(self, setting: Setting, state: Mapping[str, Any]) -> None:
        """Put them back."""
        self._model = setting.engine.model
        with torch.no_grad():
            for name, weight in self._model.named_parameters():
                weight.copy_(state["weights"][name])
