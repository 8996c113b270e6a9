"""The prompt templates of the RLM strategy: one folder per model family.

Covers: loading a family: its settings, templates and worked examples. A family's folder may leave files out; the general family's
stand in. Does not cover: filling a template (`strategies.templates`), when which message is sent (`rlm.strategy`, `rlm.session`).

A family is `prompts/<name>/` with
  family.toml     the settings, fields of `FamilySettings`
  system.md       the system prompt
  sub_calls.md    the part of it about sub-calls, left out of `rlm-flat`
  sub.md          the system prompt of sub-calls; none by default
  first.md        the first user message: the query and the description of the context
  observation.md  the user message after each step
  last.md         the user message of the reserved last answer
  corrections.toml  short messages for replies that cannot be used as they are
  examples/<kind>.md  worked examples as conversation turns, chosen by the kind of question
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from longreach.models.base import Message, Role

__all__ = ["Family", "FamilySettings", "load_family"]

GENERAL = "general"
_TURN = re.compile(r"^## (user|assistant)[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FamilySettings:
    """How a family of models is spoken to.

    observation_chars: of one step's output, shown to the model.
    whole_traceback: show a failed step's traceback; else its last line.
    description_chars: of the context's description in the first message.
    begin: what each reply begins with, where the model can continue it; {{step}} is the number of the step.
    stop: strings that end a reply.
    root_reply_tokens, sub_reply_tokens: caps below those of `Settings`.
    last_input_tokens, last_reply_tokens: the size of the reserved last call; small for models that read slowly.
    sub_prompt_chars: the longest prompt of a sub-call; longer ones are refused with advice. 0: what fits the window.
    kinds: kind of question to patterns that tell it; the first kind that matches decides, else `default_kind`.
    """

    observation_chars: int = 20_000
    whole_traceback: bool = True
    description_chars: int = 4_000
    begin: str = ""
    stop: tuple[str, ...] = ()
    root_reply_tokens: int = 16_384
    sub_reply_tokens: int = 8_192
    last_input_tokens: int = 12_000
    last_reply_tokens: int = 2_048
    sub_prompt_chars: int = 0
    default_kind: str = ""
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """The templates of one model family, by name ('system', 'first', 'observation', 'last', 'sub'), and its corrections by problem."""

    name: str
    settings: FamilySettings
    templates: Mapping[str, str]
    corrections: Mapping[str, str]
    examples: Mapping[str, tuple[Message, ...]]

    def kind_of(self, query: str) -> str:
        """The kind of question that the query is."""
        for kind, patterns in self.settings.kinds.items():
            if any(re.search(pattern, query, re.IGNORECASE) for pattern in patterns):
                return kind
        return self.settings.default_kind

    def examples_for(self, query: str) -> tuple[Message, ...]:
        """The worked examples for this query, as conversation turns; none where the family has none."""
        return self.examples.get(self.kind_of(query), ())


@cache
def load_family(name: str) -> Family:
    """The family called `name`, missing files taken from 'general'. Raises KeyError when there is no such family."""
    root = Path(__file__).parent / "prompts"
    folder = root / name
    if not folder.is_dir():
        raise KeyError(f"there is no prompt family '{name}'")
    general = root / GENERAL
    return Family(
        name=name,
        settings=_settings(folder),
        templates=_templates(general) | _templates(folder),
        corrections=_corrections(general) | _corrections(folder),
        examples=_examples(folder),
    )


def _settings(folder: Path) -> FamilySettings:
    values = tomllib.loads((folder / "family.toml").read_text("utf-8"))
    kinds = {kind: tuple(patterns) for kind, patterns in values.pop("kinds", {}).items()}
    stop = tuple(values.pop("stop", ()))
    return FamilySettings(**values, stop=stop, kinds=kinds)


def _templates(folder: Path) -> dict[str, str]:
    return {
        each.name[:-3]: each.read_text("utf-8").strip("\n") for each in folder.iterdir() if each.name.endswith(".md")
    }


def _corrections(folder: Path) -> dict[str, str]:
    file = folder / "corrections.toml"
    return (
        {key: str(text).strip() for key, text in tomllib.loads(file.read_text("utf-8")).items()}
        if file.is_file()
        else {}
    )


def _examples(folder: Path) -> dict[str, tuple[Message, ...]]:
    examples = folder / "examples"
    if not examples.is_dir():
        return {}
    return {each.name[:-3]: _turns(each.read_text("utf-8")) for each in examples.iterdir() if each.name.endswith(".md")}


def _turns(text: str) -> tuple[Message, ...]:
    """The conversation of an examples file: sections headed '## user' and '## assistant'."""
    pieces = _TURN.split(text)
    roles: list[Role] = ["user" if role == "user" else "assistant" for role in pieces[1::2]]
    return tuple(Message(role, body.strip("\n")) for role, body in zip(roles, pieces[2::2], strict=True))
