"""Orthogonal subspace fine-tuning.

Covers: the scheme `osf` by PEFT's own implementation: each weight is decomposed, its first singular directions are kept, the rest is
trained with gradients orthogonal to them; after the increment the result becomes the weight.
Does not cover: embeddings, which stay as they are.
"""

from __future__ import annotations

from typing import Any

from longreach.continual.methods.interfaces import Increment, Setting
from longreach.continual.methods.parameters import LINEAR_MODULES, Osf
from longreach.continual.training.parts.base import implements
from longreach.continual.training.parts.own_weights import OwnWeights

__all__ = ["SubspaceWeights"]


@implements(Osf)
class SubspaceWeights(OwnWeights):
    """The directions that are not kept. The decomposition lasts for an increment's training: only the weights are to be kept."""

    def __init__(self, configuration: Osf) -> None:
        self._kept = configuration.kept
        self._tuner: Any = None

    def before_increment(self, setting: Setting, increment: Increment) -> None:
        """Decompose the weights as they are now."""
        from peft import OSFConfig
        from peft.tuners.osf import OSFModel

        self._model = setting.engine.model
        self._model.requires_grad_(False)
        made = OSFConfig(effective_rank=self._kept, target_modules=list(LINEAR_MODULES))
        self._tuner = OSFModel(self._model, {"osf": made}, "osf")
        for name, weight in self._model.named_parameters():
            weight.requires_grad_("osf_svd_params" in name)

    def after_increment(self, setting: Setting, increment: Increment) -> None:
        """Put the result into the weights."""
        self._tuner.merge_and_unload()
        self._tuner = None

    def restart(self, setting: Setting) -> None:
        """Not used: this scheme goes with no data scheme that starts anew."""
