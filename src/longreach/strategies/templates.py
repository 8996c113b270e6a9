"""Filling prompt templates, and reading those of the strategies that need only one or two.

Covers: `fill`, one pass over a template, so that text that is put in is never read as a template again; the files in `prompts/`.
Does not cover: the families of the RLM's prompts (`rlm.prompts`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["fill", "template"]

_SLOT = re.compile(r"\{\{(\w+)\}\}")


def fill(text: str, values: Mapping[str, object]) -> str:
    """The template with each {{name}} replaced by its value, in one pass. Raises KeyError for a slot without a value."""
    return _SLOT.sub(lambda slot: str(values[slot.group(1)]), text)


@cache
def template(name: str) -> str:
    """The template in `prompts/<name>.md`."""
    return (Path(__file__).parent / "prompts" / f"{name}.md").read_text("utf-8").strip("\n")
