"""The strategy `direct`: the whole context in one prompt.

Covers: one call, and a clear refusal when the context does not fit. Does not cover: cutting a context down to size.
"""

from __future__ import annotations

from collections.abc import Sequence

from longreach.context import Context
from longreach.errors import ContextWindowExceeded
from longreach.models.base import Message, Model, Request
from longreach.runs import Answer, Run
from longreach.strategies.templates import template

__all__ = ["Direct", "fits_directly"]

LEAST_REPLY = 256
MARGIN = 1.05  # estimates are not exact


class Direct:
    """One model call with the whole context in the prompt: the baseline of every comparison."""

    name = "direct"

    async def answer(self, query: str, context: Context, run: Run) -> Answer:
        """Raises `ContextWindowExceeded` when the context fits neither into the root model's window nor into a fallback's."""
        settings = run.settings
        messages = _messages(query, context)
        model, room = _first_with_room(run.models.root_chain, messages)
        reply = min(settings.root_reply_tokens, model.max_output_tokens, room)
        request = Request(
            messages,
            reply,
            temperature=settings.temperature,
            seed=settings.seed,
            reasoning_effort=settings.reasoning_effort,
        )
        completion = await run.generate(request, model)
        if completion.stop_reason == "length":
            return Answer(
                completion.text, "partial", f"the reply was cut at {reply:,} tokens; use a model with a larger window"
            )
        return Answer(completion.text.strip(), "complete")


def fits_directly(query: str, context: Context, model: Model) -> bool:
    """Whether the context fits into one prompt of the model."""
    try:
        _room_for_reply(model, _messages(query, context))
    except ContextWindowExceeded:
        return False
    return True


def _first_with_room(models: Sequence[Model], messages: tuple[Message, ...]) -> tuple[Model, int]:
    """The first model whose window is large enough, and its room for a reply. Raises what the first one says when none is."""
    failures: list[ContextWindowExceeded] = []
    for model in models:
        try:
            return model, _room_for_reply(model, messages)
        except ContextWindowExceeded as error:
            failures.append(error)
    raise failures[0]


def _messages(query: str, context: Context) -> tuple[Message, ...]:
    return (Message("system", template("direct")), Message("user", f"{context.text}\n\nQuestion: {query}"))


def _room_for_reply(model: Model, messages: tuple[Message, ...]) -> int:
    """Tokens that the window leaves for the reply. Raises `ContextWindowExceeded` when they are too few."""
    # no token is longer than this many characters on average; a text far beyond the window need not be tokenised
    characters = sum(len(each.content) for each in messages)
    far_beyond = characters > model.context_window * 40
    prompt = characters // 4 if far_beyond else int(model.estimate_tokens(messages) * MARGIN)
    room = model.context_window - prompt
    if far_beyond or room < LEAST_REPLY:
        raise ContextWindowExceeded(
            f"the input does not fit: about {prompt:,} tokens, but the window of '{model.name}' has {model.context_window:,}; "
            "use --strategy rlm, or a model with a larger window"
        )
    return room
