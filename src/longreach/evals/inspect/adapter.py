"""Any Inspect model as one of ours, inside an evaluation.

Covers: our own models behind Inspect's provider, which are taken out of it again; Inspect's providers, with windows and prices from
Inspect's data or ours. Does not cover: our models as a provider (`provider`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelInfo,
    ModelOutput,
    ModelUsage,
    ResponseSchema,
    get_model_info,
)
from inspect_ai.model import Model as InspectModel
from inspect_ai.util import JSONSchema, LimitExceededError

from longreach.errors import ModelError, ModelTimeout, ProviderUnavailable
from longreach.evals.inspect.provider import LongreachAPI
from longreach.models.base import CallObserver, Completion, Message, Model, Price, Request, StopReason, Usage
from longreach.models.families import prompt_family_of
from longreach.models.prices import FlatPrice, context_window_of, price_of
from longreach.models.tokens import TokenRatio, bound_tokens

__all__ = ["Adapted", "as_model", "is_ours"]

DEFAULT_CONTEXT_WINDOW = 128_000
DEFAULT_MAX_OUTPUT_TOKENS = 16_384
_STOP: dict[str, StopReason] = {"stop": "stop", "max_tokens": "length", "content_filter": "content_filter"}


def is_ours(model: InspectModel) -> bool:
    """Whether one of our own models is behind it."""
    return isinstance(model.api, LongreachAPI)


def as_model(model: InspectModel) -> Model:
    """Our interface to an Inspect model. Ours is used directly: its calls go into the run's journal, not one by one into Inspect's log."""
    return model.api.model if isinstance(model.api, LongreachAPI) else Adapted(model)


class Adapted:
    """A `Model` that asks one of Inspect's providers. Inspect logs each call, repeats failed ones and counts the tokens.

    name: as `--model` takes it. context_window, max_output_tokens: from Inspect's data or ours, else cautious defaults.
    price: from our table or Inspect's data. prompt_family: by the model's name.
    """

    continues_assistant = False

    def __init__(self, model: InspectModel) -> None:
        self._model = model
        self._ratio = TokenRatio()
        info = get_model_info(model)
        self.name = f"inspect/{model}"
        self.context_window = (
            (info.context_length if info else None) or context_window_of(str(model)) or DEFAULT_CONTEXT_WINDOW
        )
        most = (info.output_tokens if info else None) or DEFAULT_MAX_OUTPUT_TOKENS
        self.max_output_tokens = min(most, self.context_window)
        self.price = price_of(str(model)) or _price_in(info)
        self.prompt_family = prompt_family_of(model.name)

    def estimate_tokens(self, messages: Sequence[Message]) -> int:
        """By a ratio learned from reported usage."""
        return self._ratio.estimate(messages)

    def bound_tokens(self, messages: Sequence[Message]) -> int:
        """A number that no tokenizer exceeds."""
        return bound_tokens(messages)

    async def generate(self, request: Request, observer: CallObserver | None = None) -> Completion:
        """One call through Inspect. Raises `ModelError`; Inspect's own limits end the sample, as always."""
        started = time.perf_counter()
        try:
            output = await self._model.generate(
                [_inspect_message(m) for m in request.messages], config=_config(request)
            )
        except (ModelError, LimitExceededError):
            raise
        except TimeoutError as error:
            raise ModelTimeout(f"'{self.name}' did not answer in time: {error}", possibly_charged=True) from error
        except Exception as error:  # each provider's library raises its own
            raise ProviderUnavailable(f"'{self.name}' failed: {type(error).__name__}: {error}") from error
        usage, estimated = self._usage(request, output)
        if observer is not None and output.completion:
            observer.text(output.completion)
        reason = _STOP.get(output.stop_reason, "other")
        return Completion(output.completion, usage, reason, time.perf_counter() - started, usage_estimated=estimated)

    async def close(self) -> None:
        """Inspect closes its models itself."""

    def _usage(self, request: Request, output: ModelOutput) -> tuple[Usage, bool]:
        if output.usage is None:
            return Usage(bound_tokens(request.messages), request.max_tokens), True
        usage = _usage(output.usage)
        self._ratio.learn(request.messages, usage.input_tokens)
        return usage, False


def _usage(usage: ModelUsage) -> Usage:
    read, written = usage.input_tokens_cache_read or 0, usage.input_tokens_cache_write or 0
    return Usage(usage.input_tokens + read + written, usage.output_tokens, read, usage.reasoning_tokens or 0, written)


def _inspect_message(message: Message) -> ChatMessage:
    if message.role == "system":
        return ChatMessageSystem(content=message.content)
    return (
        ChatMessageUser(content=message.content)
        if message.role == "user"
        else ChatMessageAssistant(content=message.content)
    )


def _config(request: Request) -> GenerateConfig:
    schema = request.json_schema
    return GenerateConfig(
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop_seqs=list(request.stop) or None,
        seed=request.seed,
        reasoning_effort=request.reasoning_effort,  # type: ignore[arg-type]  # a provider refuses what it does not know
        response_schema=ResponseSchema(name="reply", json_schema=JSONSchema.model_validate(schema)) if schema else None,
    )


def _price_in(info: ModelInfo | None) -> Price | None:
    cost = info.cost if info else None
    if cost is None:
        return None
    return FlatPrice(*(Decimal(str(each)) for each in (cost.input, cost.output, cost.input_cache_read)))
