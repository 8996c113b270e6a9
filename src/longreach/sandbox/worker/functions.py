"""What model-written code can call: the host's functions as plain Python ones, and the two ways to submit an answer.

Covers: `llm_query` and its kin, batches, `collect`, the asyncio form, forwarding of any other name, `FINAL`, `FINAL_VAR`. Does not
cover: helpers that need no host (`helpers`), nor what the host does with a call. Mistakes are ordinary exceptions here, before anything
is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any

from .channel import Channel, Frame, Slot, encode
from .scouting import SCOUTED, Given, Placeholder, digest_of

__all__ = [
    "CallFailed",
    "CallLimits",
    "Caller",
    "FailedCall",
    "Submitted",
    "collect_function",
    "forwarder",
    "query_functions",
    "submit_functions",
]

BATCH_CHARS = 4_000_000  # a larger batch travels in several frames
BATCH_ITEMS = 1000
MOST_UNREAD = 500  # calls in flight whose answers nobody reads yet: the host stops taking calls at some point


class CallFailed(RuntimeError):
    """The host could not serve a call; the message says why."""


CallFailed.__module__ = "builtins"


class Submitted(SystemExit):
    """Ends the step at once: an answer was submitted."""


@dataclass(frozen=True)
class CallLimits:
    """Checked here so that an honest mistake is an exception; the host checks again and kills."""

    prompt_chars: int
    calls_per_step: int


class FailedCall:
    """Stands in a batch's results for a call that failed: using it as a text raises, naming the cause; printing the list does not."""

    def __init__(self, cause: str) -> None:
        self.error = cause

    def __reduce__(self) -> tuple[Any, ...]:
        return failed_call, (self.error,)

    def __repr__(self) -> str:
        return f"<failed call: {self.error}>"

    def _raise(self, *_: object, **__: object) -> Any:
        raise CallFailed(f"this call of the batch had failed: {self.error}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._raise()

    __str__ = __format__ = __bytes__ = __len__ = __iter__ = __contains__ = __getitem__ = __bool__ = _raise
    __add__ = __radd__ = __mul__ = __rmul__ = __mod__ = __rmod__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __eq__ = __ne__ = __int__ = __float__ = __index__ = _raise
    __hash__ = _raise


def failed_call(cause: str) -> FailedCall:
    """A `FailedCall` whose very type names the cause, for errors like that of "".join, which name only the type."""
    kind = type(f"FailedCall({cause[:300]})", (FailedCall,), {})
    result: FailedCall = kind(cause)
    return result


class Caller:
    """Makes calls to the host over the channel, from any thread, and counts them."""

    def __init__(self, channel: Channel, limits: CallLimits) -> None:
        self.channel = channel
        self.limits = limits
        self.given = Given()
        self._made = 0
        self._counting = threading.Lock()
        self._waiting = 0
        self._pump: threading.Thread | None = None

    def begin_step(self) -> None:
        """Start counting anew, with no answers in advance."""
        self.given.keep([])
        self._made = 0
        self._waiting = 0
        self._counting = threading.Lock()

    def count(self, calls: int) -> None:
        """Count calls about to be made. Raises RuntimeError beyond the limit of the step."""
        with self._counting:
            if self._made + calls > self.limits.calls_per_step:
                raise RuntimeError(
                    f"at most {self.limits.calls_per_step:,} calls can be made in one step, and {self._made:,} were made: "
                    "call in larger pieces, or go on in the next step"
                )
            self._made += calls

    def check_text(self, value: object, what: str) -> str:
        """A plain str of a size that may be sent. Raises TypeError, ValueError."""
        if not isinstance(value, str):
            raise TypeError(f"{what} must be a str, not {type(value).__name__}")
        self.check_size(len(value), what)
        return value if type(value) is str else str.__str__(value)

    def check_size(self, size: int, what: str) -> None:
        """Raises ValueError for more characters than one call may carry."""
        if size > self.limits.prompt_chars:
            raise ValueError(
                f"{what} has {size:,} characters; at most {self.limits.prompt_chars:,} fit into one call: slice it first"
            )

    def call(self, method: str, parameters: Frame) -> Any:
        """Make one call and wait for its value. Raises `CallFailed` when the host says so."""
        self.count(1)
        scouting = self.channel.scouting
        frame: Frame = {"t": "call", "m": method, "p": parameters}
        if scouting is None or method != SCOUTED:
            self._end_scout()  # this answer must be a real one
            return self.value(self._ask(frame))
        arguments = encode(parameters).encode("utf-8", "replace")
        digest = digest_of(arguments)
        if scouting.is_scout:
            scouting.tell(digest, arguments)
            return Placeholder()
        if not scouting.possible():
            return self.value(self._ask(frame))
        if given := self.given.take(digest):
            return given[0]
        # the main thread waits for this one and nothing else runs: the host may ask for a scout
        answer = self._ask({**frame, "blocks": True, **self.given.tell_used()})
        self.given.keep(answer.get("next", []))
        return self.value(answer)

    def _ask(self, frame: Frame) -> Frame:
        """Send a call and wait for the frame with its answer."""
        number, slot = self.channel.submit(frame)
        try:
            return self.channel.wait(slot)
        except BaseException:
            self.channel.abandon(number)
            raise

    def frames(self, calls: list[tuple[str, Frame]]) -> list[Frame]:
        """Send these calls at once and wait for all; the answers in order. Counting them is left to the caller."""
        self._end_scout()
        sent: list[tuple[int, Slot]] = []
        answers: list[Frame] = []
        try:
            for method, parameters in calls:
                if len(sent) - len(answers) >= MOST_UNREAD:
                    answers.append(self.channel.wait(sent[len(answers)][1]))
                sent.append(self.channel.submit({"t": "call", "m": method, "p": parameters}))
            answers += [self.channel.wait(slot) for _, slot in sent[len(answers) :]]
        except BaseException:
            for number, _ in sent:
                self.channel.abandon(number)
            raise
        return answers

    def _end_scout(self) -> None:
        if self.channel.scouting is not None and self.channel.scouting.is_scout:
            self.channel.scouting.end()

    @staticmethod
    def value(frame: Frame) -> Any:
        """What an answer holds. Raises `CallFailed` when it holds an error."""
        if frame["ok"]:
            return frame["v"]
        error = frame["error"]
        raise CallFailed(error["message"]) if error["type"] != "RuntimeError" else RuntimeError(error["message"])

    async def call_async(self, method: str, parameters: Frame) -> Any:
        """The same for asyncio code: other coroutines go on meanwhile."""
        import asyncio

        self._end_scout()
        self.count(1)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Frame] = loop.create_future()

        def settle(frame: Frame) -> None:
            if not future.done():
                future.set_result(frame)

        def on_frame(frame: Frame) -> None:
            self._waiting -= 1
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, frame)

        self._waiting += 1
        try:
            self.channel.submit({"t": "call", "m": method, "p": parameters}, on_frame)
        except BaseException:
            self._waiting -= 1
            raise
        if self._pump is None or not self._pump.is_alive():
            self._pump = threading.Thread(
                target=self.channel.lead_until, args=(lambda: self._waiting <= 0,), daemon=True
            )
            self._pump.start()
        return self.value(await future)


def _batches(items: list[Frame]) -> list[range]:
    """Ranges of items that travel together."""
    ranges, start, size = [], 0, 0
    for at, item in enumerate(items):
        more = len(item["prompt"]) + len(item["context"] or "")
        if at > start and (size + more > BATCH_CHARS or at - start >= BATCH_ITEMS):
            ranges.append(range(start, at))
            start, size = at, 0
        size += more
    return [*ranges, range(start, len(items))] if items else []


def _query_frame(caller: Caller, prompt: object, context: object, model: object) -> Frame:
    """The checked arguments of one query. Raises TypeError, ValueError."""
    if model is not None and not isinstance(model, str):
        raise TypeError(f"model must be a str or None, not {type(model).__name__}")
    text = caller.check_text(prompt, "the prompt")
    more = None if context is None else caller.check_text(context, "the context")
    caller.check_size(len(text) + len(more or ""), "prompt and context together")
    return {"prompt": text, "context": more, "model": model}


def _paired(prompts: Iterable[str], context: str | Iterable[str] | None) -> tuple[list[str], list[str | None]]:
    """The prompts, and a context (or None) for each. Raises TypeError, ValueError."""
    if isinstance(prompts, str):
        raise TypeError("prompts must be a list of str, not one str")
    texts = list(prompts)
    contexts: list[str | None] = (
        [context] * len(texts) if context is None or isinstance(context, str) else list(context)
    )
    if len(contexts) != len(texts):
        raise ValueError(
            f"{len(texts)} prompts and {len(contexts)} contexts: give one context for all, or as many as prompts"
        )
    return texts, contexts


def _item(item: Frame) -> Any:
    return item["value"] if item["ok"] else failed_call(_cause(item["error"]))


def query_functions(caller: Caller, method: str, offered: Container[str]) -> dict[str, Callable[..., Any]]:
    """The plain, batched and asyncio form of one kind of query, by the names that code uses. `offered`: what the host serves."""
    batch_method = f"{method}_batched"

    def query(prompt: str, context: str | None = None, model: str | None = None) -> Any:
        return caller.call(method, _query_frame(caller, prompt, context, model))

    async def query_async(prompt: str, context: str | None = None, model: str | None = None) -> Any:
        return await caller.call_async(method, _query_frame(caller, prompt, context, model))

    def query_batched(
        prompts: Iterable[str], context: str | Iterable[str] | None = None, model: str | None = None
    ) -> list[Any]:
        texts, contexts = _paired(prompts, context)
        checked = [_query_frame(caller, *pair, model) for pair in zip(texts, contexts, strict=True)]
        caller.count(len(checked))
        if batch_method not in offered:
            answers = caller.frames([(method, parameters) for parameters in checked])
            return [frame["v"] if frame["ok"] else failed_call(frame["error"]["message"]) for frame in answers]
        frames = caller.frames([(batch_method, _joined(checked[span.start : span.stop])) for span in _batches(checked)])
        items = [item for frame in frames for item in caller.value(frame)]
        return [_item(item) for item in items]

    query.__doc__ = "Ask the model one question, with a text to go with it if you like; returns its answer as a str."
    query_async.__doc__ = f"The same as {method}, for `await`."
    query_batched.__doc__ = (
        "Ask many questions at once (one context for all, or a list of them); returns the answers in order."
    )
    for function, name in ((query, method), (query_async, f"{method}_async"), (query_batched, batch_method)):
        function.__name__ = function.__qualname__ = name
        function.__module__ = "builtins"
    return {method: query, f"{method}_async": query_async, batch_method: query_batched}


def collect_function(caller: Caller) -> Callable[..., Any]:
    """`collect`: many questions whose replies are JSON of one schema."""

    def collect(
        prompts: Iterable[str],
        schema: dict[str, Any],
        context: str | Iterable[str] | None = None,
        model: str | None = None,
    ) -> list[Any]:
        texts, contexts = _paired(prompts, context)
        if not isinstance(schema, dict):
            raise TypeError(f"schema must be a dict, a JSON schema, not {type(schema).__name__}")
        checked = [_query_frame(caller, *pair, model) for pair in zip(texts, contexts, strict=True)]
        caller.count(len(checked))
        spans = _batches(checked)
        frames = caller.frames(
            [("collect", _joined(checked[span.start : span.stop]) | {"schema": schema}) for span in spans]
        )
        return [_item(item) for frame in frames for item in caller.value(frame)]

    collect.__doc__ = (
        "Ask many questions at once; each reply is checked against the JSON schema and returned as Python data."
    )
    collect.__module__ = "builtins"
    collect.__qualname__ = "collect"
    return collect


def _joined(items: list[Frame]) -> Frame:
    """The parameters of one batch. All of its items name the same model."""
    contexts = [item["context"] for item in items]
    return {
        "prompts": [item["prompt"] for item in items],
        "contexts": None if all(context is None for context in contexts) else contexts,
        "model": items[0]["model"],
    }


def _cause(error: Frame) -> str:
    return f"{error['type']}: {error['message']}"


def forwarder(caller: Caller, name: str) -> Callable[..., Any]:
    """A function that passes its arguments, as JSON, to the host's handler of that name."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        return caller.call(name, {"args": list(args), "kwargs": kwargs})

    forward.__name__ = forward.__qualname__ = name
    forward.__module__ = "builtins"
    return forward


def submit_functions(namespace: dict[str, Any], submit: Callable[[str, object], None]) -> dict[str, Callable[..., Any]]:
    """`FINAL` and `FINAL_VAR`: hand the answer to `submit` and end the step."""

    def final(answer: Any, confidence: Any = None) -> None:
        submit(str(answer), confidence)
        raise Submitted

    def final_var(name: Any, confidence: Any = None) -> None:
        if isinstance(name, str) and name.strip().strip("'\"") in namespace:
            final(namespace[name.strip().strip("'\"")], confidence)
        if isinstance(name, str) and name.isidentifier():
            names = sorted(key for key in namespace if not key.startswith("_"))
            raise NameError(f"there is no variable {name!r} to submit; there are: {', '.join(names)}")
        final(name, confidence)

    final.__name__ = final.__qualname__ = "FINAL"
    final_var.__name__ = final_var.__qualname__ = "FINAL_VAR"
    final.__doc__ = "Submit this as the answer and stop; confidence, if given, is a number from 0 to 1."
    final_var.__doc__ = "Submit the value of the variable of this name as the answer and stop."
    return {"FINAL": final, "FINAL_VAR": final_var}
