"""All weights are trained.

Covers: the scheme `full`, with embeddings frozen or not. Does not cover: adapters.
"""

from __future__ import annotations

from longreach.continual.methods.interfaces import Increment, Setting
from longreach.continual.methods.parameters import Full
from longreach.continual.training.parts.base import implements
from longreach.continual.training.parts.own_weights import OwnWeights

__all__ = ["FullWeights"]


@implements(Full)
class FullWeights(OwnWeights):
    """All but, maybe, the embeddings (and the output head that shares them)."""

    def __init__(self, configuration: Full) -> None:
        self._frozen_embeddings = configuration.frozen_embeddings

    def before_increment(self, setting: Setting, increment: Increment) -> None:
        """Choose what is trained."""
        self._model = setting.engine.model
        self._model.requires_grad_(True)
        if self._frozen_embeddings:
            self._model.get_input_embeddings().weight.requires_grad_(False)

    def restart(self, setting: Setting) -> None:
        """The weights as they came."""
        setting.engine.restore()
