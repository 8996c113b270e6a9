"""The models that clients may name, and what their names mean.

Covers: `STRATEGY:ROOT+SUB`, which models are offered, the list of them, opening each once. Does not cover: the models (`longreach.models`).
A client can only reach what the server offers: `scripted/` and `local/` names can be paths, so those must be offered letter by letter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from longreach.models.base import Model
from longreach.models.endpoints import load_endpoints
from longreach.models.registry import list_models, open_model
from longreach.options import DEFAULT_MODEL
from longreach.runs import Models
from longreach.serve.failures import ApiError
from longreach.strategies import STRATEGIES

__all__ = ["Choice", "ModelNames", "ModelPool"]

ON_DISK = ("local/", "scripted/")  # names that may hold a path
LONGEST = 400
IDLE_MODELS = 32
REMEMBERED = 1_000  # names that were read


@dataclass(frozen=True, slots=True)
class Choice:
    """What a client's model name stands for."""

    strategy: str
    root: str
    sub: str

    def __str__(self) -> str:
        return f"{self.strategy}:{self.root}" + (f"+{self.sub}" if self.sub != self.root else "")


class ModelNames:
    """Which names are offered. `patterns` as in `ServeSettings.models`."""

    def __init__(self, patterns: Iterable[str], default_model: str, default_strategy: str) -> None:
        offered = tuple(patterns) or tuple(_available())
        self._patterns = (*offered, default_model) if default_model else offered
        self._default_model = default_model or next((each for each in offered if not _is_pattern(each)), DEFAULT_MODEL)
        self._default_strategy = default_strategy
        self._choices: dict[str, Choice] = {}

    def read(self, name: str) -> Choice:
        """`STRATEGY:ROOT+SUB`, with the strategy or the sub-model or (after a strategy) all models left out. A sub-model without an
        endpoint is the root model's endpoint's. Raises `ApiError` (404).
        """
        choice = self._choices.get(name)
        if choice is None:
            choice = self._read(name)
            if len(self._choices) >= REMEMBERED:
                self._choices.clear()
            self._choices[name] = choice
        return choice

    def _read(self, name: str) -> Choice:
        if not name.isprintable() or not 0 < len(name) <= LONGEST:
            raise _not_found(name)
        strategy, colon, rest = name.partition(":")
        if strategy not in STRATEGIES:
            strategy, rest = self._default_strategy, name
        elif not colon:
            rest = self._default_model
        root, sub = self._root_and_sub(rest)
        if not self._offers(root) or not self._offers(sub):
            raise _not_found(name)
        return Choice(strategy, root, sub)

    def listing(self) -> list[str]:
        """Every strategy with every offered model whose name is known here, the models alone first."""
        models = list(dict.fromkeys(self._known()))
        return [*models, *(f"{strategy}:{model}" for strategy in STRATEGIES for model in models)]

    @property
    def local(self) -> list[str]:
        """Those offered that are loaded into this process's own memory."""
        return [each for each in self._patterns if each.startswith("local/")]

    def _root_and_sub(self, text: str) -> tuple[str, str]:
        root, plus, sub = text.partition("+")
        if text in self._patterns or not plus:
            return text, text
        if not sub.startswith((*(f"{each}/" for each in load_endpoints()), *ON_DISK)):
            sub = f"{root.partition('/')[0]}/{sub}"
        return root, sub

    def _offers(self, model: str) -> bool:
        if model in self._patterns:
            return True
        return not model.startswith(ON_DISK) and any(fnmatchcase(model, pattern) for pattern in self._patterns)

    def _known(self) -> Iterable[str]:
        endpoints = load_endpoints()
        for pattern in self._patterns:
            endpoint = pattern.partition("/")[0]
            if not _is_pattern(pattern):
                yield pattern
            elif endpoint in endpoints:
                yield from (each.name for each in list_models(endpoint) if fnmatchcase(each.name, pattern))


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _available() -> Iterable[str]:
    """What can be used as things stand: local models whose weights are here, endpoints whose key is set."""
    for each in list_models():
        if each.weights_here:
            yield each.name
        elif each.name.endswith("/") and each.key_set:
            yield f"{each.name}*"


def _not_found(name: str) -> ApiError:
    shown = name[:LONGEST].encode("unicode_escape").decode("ascii")
    return ApiError(
        404,
        "model_not_found",
        f"there is no model '{shown}' here: GET /v1/models lists them; a name is STRATEGY:ROOT+SUB with one of the strategies "
        f"{', '.join(STRATEGIES)}",
        param="model",
    )


class ModelPool:
    """Models that are open, shared by the runs that use them; the last few stay open while nobody does.

    fallback: names of the models that stand in for any that fails.
    """

    def __init__(self, fallback: Sequence[str] = (), open_one: Callable[[str], Model] = open_model) -> None:
        self._open = open_one
        self._fallback = tuple(fallback)
        self._models: dict[str, Model] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def models(self, choice: Choice) -> AsyncIterator[Models]:
        """The root model, the sub-model and those that stand in for them, open until the block ends. Raises `ModelError`."""
        joined: list[str] = []
        try:
            for name in dict.fromkeys((choice.root, choice.sub, *self._fallback)):
                self._models[name] = self._models.get(name) or self._open(name)
                self._users[name] = self._users.get(name, 0) + 1
                joined.append(name)
            fallback = tuple(self._models[name] for name in self._fallback)
            yield Models(self._models[choice.root], self._models[choice.sub], fallback)
        finally:
            for name in joined:
                self._leave(name)
            if len(self._models) > IDLE_MODELS:
                await self._close_idle(IDLE_MODELS)

    async def close(self) -> None:
        """Close all that nobody uses."""
        await self._close_idle(0)

    def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if self._users[name] == 0:
            del self._users[name]
            # the one used last is closed last
            self._models[name] = self._models.pop(name)

    async def _close_idle(self, kept: int) -> None:
        idle = [name for name in self._models if name not in self._users]
        closing = [self._models.pop(name) for name in idle[: max(0, len(idle) - kept)]]
        for model in closing:
            await model.close()
