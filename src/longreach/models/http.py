"""Models behind an OpenAI-compatible `/chat/completions` endpoint.

Covers: sending a request, reading the reply as a stream or whole, time limits, failures as typed errors. Does not cover: which
endpoints exist (`models.endpoints`), what bodies look like (`models.wire`), retries (`models.retry`), refusing calls to an endpoint that
is down (`models.breaker`), connections (`models.session`).

Replies are streamed wherever the endpoint can: a stall shows within seconds instead of minutes, and a cancelled call stops costing.
The key is read from the environment for each call and lives in local variables only. Errors are raised outside of `except` blocks,
since aiohttp's own hold the request's headers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from longreach.errors import (
    BadResponse,
    ModelError,
    ModelTimeout,
    ProviderUnavailable,
    RequestRefused,
    UnknownModel,
    UsageError,
)
from longreach.models.base import CallObserver, Completion, Message, Price, Request
from longreach.models.breaker import breaker_of
from longreach.models.endpoints import Endpoint, api_key
from longreach.models.failures import (
    Unreachable,
    error_text,
    failure_of_status,
    provider_message,
    redact,
    refused_field,
)
from longreach.models.prices import near_misses
from longreach.models.retry import RetryPolicy, parse_retry_after, with_retries
from longreach.models.session import acquire_session, proxy_for, release_session
from longreach.models.sse import EventDecoder
from longreach.models.tokens import TokenRatio, bound_tokens
from longreach.models.wire import BodyEncoder, Reply, request_body

__all__ = ["HTTPModel", "ModelTraits", "Timeouts"]

MAX_REPLY_BYTES = 64 << 20
MAX_ERROR_BYTES = 64 << 10
ONCE = RetryPolicy(attempts=1, unreachable_attempts=1)
AFTERMATH_SECONDS = 5.0  # how long a stream may take from the reply's end to its usage and its own end
END_SECONDS = 0.25  # how long it may take from its last event to its own end
SLACK = 0.01  # of a time limit, by which a deadline may be early: to move it takes longer than to read most pieces of a reply

_log = logging.getLogger(__name__)
_decode = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits of one attempt, in seconds.

    first: until the first piece of the reply; a model that reasons in secret is silent that long. idle: between two pieces.
    total: of the whole attempt.
    """

    first: float = 600.0
    idle: float = 120.0
    total: float = 1800.0


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What is known of a model beside its endpoint. Tokens; see `Model` for each."""

    context_window: int
    max_output_tokens: int
    price: Price | None
    prompt_family: str = "general"
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class HTTPModel:
    """One model of one endpoint. Use it on one event loop at a time; `close` gives its share of the connections back."""

    def __init__(self, name: str, model_id: str, endpoint: Endpoint, traits: ModelTraits) -> None:
        self._name = name
        self._model_id = model_id
        self._endpoint = endpoint
        self._traits = traits
        self._url = URL(f"{endpoint.base_url}/chat/completions")
        self._proxy = proxy_for(self._url)
        self._breaker = breaker_of(endpoint.base_url)
        self._ratio = TokenRatio()
        self._encoder = BodyEncoder()
        self._leave_out: frozenset[str] = frozenset()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"HTTPModel({self._name!r}, '{self._url}')"

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self._name

    @property
    def endpoint(self) -> Endpoint:
        """Where it is reached."""
        return self._endpoint

    @property
    def identity(self) -> str:
        """The address, the model's name there, and what is put into each request."""
        extra = json.dumps(dict(self._endpoint.extra), sort_keys=True, default=str)
        return f"{self._endpoint.base_url} {self._model_id} {extra}"

    @property
    def context_window(self) -> int:
        """Tokens that prompt and reply may have together."""
        return self._traits.context_window

    @property
    def max_output_tokens(self) -> int:
        """Tokens that a reply may have."""
        return self._traits.max_output_tokens

    @property
    def price(self) -> Price | None:
        """What it costs, or None where that is not known."""
        return self._traits.price

    @property
    def continues_assistant(self) -> bool:
        """Whether the endpoint can be made to continue an assistant message."""
        return self._endpoint.prefill != "none"

    @property
    def prompt_family(self) -> str:
        """'general' or 'small'."""
        return self._traits.prompt_family

    def estimate_tokens(self, messages: Sequence[Message]) -> int:
        """About how many tokens the messages are, better the more calls were made."""
        return self._ratio.estimate(messages)

    def bound_tokens(self, messages: Sequence[Message]) -> int:
        """A number of tokens that the messages cannot exceed."""
        return bound_tokens(messages)

    async def generate(self, request: Request, observer: CallObserver | None = None) -> Completion:
        """Answer the request. Raises `ModelError`, `UsageError` for a request that cannot be sent, or what the observer raises."""
        if self._closed:
            raise UsageError(f"the model '{self._name}' is closed; open it again")
        if not request.messages:
            raise UsageError("a request needs at least one message")
        if request.messages[-1].role == "assistant" and not self.continues_assistant:
            raise UsageError(f"'{self._name}' cannot continue an assistant message; end the request with the user's")
        with self._breaker.watch(self._where) as probing:
            policy = ONCE if probing else self._traits.retry
            completion = await with_retries(lambda: self._attempt(request, observer), policy, observer)
        if not completion.usage_estimated and request.json_schema is None:
            self._ratio.learn(request.messages, completion.usage.input_tokens)
        return completion

    async def close(self) -> None:
        """Give back its share of the connections. Calls after this are refused."""
        self._closed = True
        if self._session is not None:
            self._session = None
            await release_session()

    # --- one attempt

    async def _attempt(self, request: Request, observer: CallObserver | None) -> Completion:
        """One call, sent again at once without a field that the model turns out not to take. Nothing is charged for those."""
        while True:
            body = request_body(request, self._endpoint, self._model_id, self._leave_out)
            outcome = await self._send(body, request, observer)
            if isinstance(outcome, Completion):
                return outcome
            if isinstance(outcome, ModelError):
                raise outcome
            if outcome in self._leave_out:  # refused before and after it was left out or renamed
                raise RequestRefused(f"{self._where} refused the request's field '{outcome}', with and without it")
            _log.warning("%s does not take '%s': leaving it out from now on", self._where, outcome)
            self._leave_out |= {outcome}

    async def _send(
        self, body: dict[str, Any], request: Request, observer: CallObserver | None
    ) -> Completion | ModelError | str:
        """The completion, or the failure to raise, or the name of a field to leave out."""
        key = api_key(self._endpoint)
        if self._session is None:
            self._session = acquire_session()
        reply = Reply(observer)
        failure: ModelError | None = None
        limits, loop = self._traits.timeouts, asyncio.get_running_loop()
        started = time.perf_counter()
        try:
            async with asyncio.timeout(min(limits.first, limits.total)) as deadline:
                end = loop.time() + limits.total
                response = await self._session.post(
                    self._url,
                    data=self._encoder.encode(body),
                    headers=self._headers(key),
                    proxy=self._proxy,
                    allow_redirects=False,  # a key must not be carried elsewhere
                )
                async with response:
                    if response.status != 200:
                        deadline.reschedule(end)
                        return await self._refusal(response, body, key)
                    await self._read(response, _Body(response.content, reply, limits, deadline, end), reply)
        except TimeoutError:
            if reply.finish is None:  # otherwise the reply is whole, and only what follows it is missing
                failure = ModelTimeout(self._timeout_message(reply), possibly_charged=True)
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
            failure = Unreachable(
                f"cannot connect to {self._where}: {redact(str(error), key)}; check the base URL and the network"
            )
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
            failure = ProviderUnavailable(
                f"the connection to {self._where} dropped ({type(error).__name__})", possibly_charged=True
            )
        except aiohttp.ClientError as error:
            failure = BadResponse(
                f"{self._where} sent no valid HTTP reply ({type(error).__name__})", possibly_charged=True
            )
        except ModelError as error:
            failure = _with_place(error, self._where, key)
        if failure is not None:
            return failure
        latency = time.perf_counter() - started
        return reply.completion(request, latency=latency, hides_reasoning=self._endpoint.hides_reasoning)

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "User-Agent": "longreach",
        }
        headers.update(self._endpoint.headers)
        if key is not None:
            if not key.isascii() or not key.isprintable():
                raise UsageError(
                    f"the key for '{self._endpoint.name}' has characters that no key has; set {self._endpoint.keys[0]} again"
                )
            headers["Authorization"] = f"Bearer {key}"
        return headers

    @property
    def _where(self) -> str:
        return f"'{self._name}' at {self._endpoint.base_url}"

    def _timeout_message(self, reply: Reply) -> str:
        limits = self._traits.timeouts
        if reply.arriving:
            return f"{self._where} stalled in the middle of its reply (limits: {limits.idle:g} s idle, {limits.total:g} s in all)"
        return f"{self._where} did not begin to reply within {min(limits.first, limits.total):g} s"

    async def _refusal(
        self, response: aiohttp.ClientResponse, body: dict[str, Any], key: str | None
    ) -> ModelError | str:
        async with asyncio.timeout(self._traits.timeouts.idle):
            raw = await _read_at_most(response, MAX_ERROR_BYTES)
        message = redact(provider_message(raw.decode("utf-8", "replace")), key)
        if (refused := refused_field(response.status, message, body)) is not None:
            return refused
        failure = failure_of_status(
            response.status, message, self._where, retry_after=parse_retry_after(response.headers)
        )
        if isinstance(failure, UnknownModel):
            failure.args = (f"{failure}; {near_misses(self._endpoint, self._model_id)}",)
        return failure

    # --- reading the reply

    async def _read(self, response: aiohttp.ClientResponse, body: _Body, reply: Reply) -> None:
        """Feed the whole reply. Raises `ModelError` or aiohttp's own errors."""
        if response.content_type == "text/event-stream":
            await self._read_stream(body, reply)
            return
        raw = bytearray()
        while piece := await body.next_piece():
            reply.arriving = True
            raw += piece
        self._feed(reply, bytes(raw))
        if not reply.begun:
            raise BadResponse("the reply has no choices", possibly_charged=True)

    async def _read_stream(self, body: _Body, reply: Reply) -> None:
        try:
            await self._read_events(body, reply)
        except (aiohttp.ClientError, BadResponse):
            if reply.finish is None:  # as with a time limit
                raise

    async def _read_events(self, body: _Body, reply: Reply) -> None:
        decoder = EventDecoder()
        while piece := await body.next_piece():
            for event in decoder.feed(piece):
                if event == b"[DONE]":
                    self._check_end(reply)
                    return await body.read_to_end()
                self._feed(reply, event)
        for event in decoder.end():
            if event != b"[DONE]":
                self._feed(reply, event)
        if reply.finish is None:
            raise ProviderUnavailable("the stream closed in the middle of the reply", possibly_charged=True)
        return None

    def _check_end(self, reply: Reply) -> None:
        if not reply.begun:
            raise BadResponse("the stream ended without a reply", possibly_charged=True)

    def _feed(self, reply: Reply, data: bytes) -> None:
        try:
            chunk = _decode(data.decode("utf-8", "surrogatepass").removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            quoted = data[:80].decode("utf-8", "replace")
            raise BadResponse(f"invalid JSON in the reply: {quoted!r}", possibly_charged=True) from None
        error = chunk.get("error") if isinstance(chunk, dict) else None
        if error:
            code = error.get("code") if isinstance(error, dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise failure_of_status(status, error_text(chunk), self._where, possibly_charged=True)
        reply.feed(chunk)


class _Body:
    """The body of a response as it arrives, within the time limits. end: when the whole attempt must be over, by the loop's clock."""

    def __init__(
        self, content: aiohttp.StreamReader, reply: Reply, limits: Timeouts, deadline: asyncio.Timeout, end: float
    ) -> None:
        self._content = content
        self._reply = reply
        self._limits = limits
        self._deadline = deadline
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._size = 0

    async def next_piece(self) -> bytes:
        """What has arrived since, empty at the end. Runs into the deadline when that takes too long, raises `BadResponse` when it is too
        much.
        """
        piece = self._content.read_nowait()
        if not piece:
            self._set_deadline()
            piece = await self._content.readany()
        self._size += len(piece)
        if self._size > MAX_REPLY_BYTES:
            raise BadResponse(f"the reply is longer than {MAX_REPLY_BYTES >> 20} MiB", possibly_charged=True)
        return piece

    def _set_deadline(self) -> None:
        patience = self._patience()
        when = min(self._end, self._loop.time() + patience)
        later = when - (self._deadline.when() or 0.0)
        if not 0 <= later <= patience * SLACK:
            self._deadline.reschedule(when)

    def _patience(self) -> float:
        limit = self._limits.idle if self._reply.arriving else self._limits.first
        return min(limit, AFTERMATH_SECONDS) if self._reply.finish else limit

    async def read_to_end(self) -> None:
        """Read what follows the last event: only a connection that is read to its end is used again."""
        if self._content.at_eof():
            return
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(END_SECONDS):
                while await self._content.readany():
                    continue


def _with_place(error: ModelError, where: str, key: str | None) -> ModelError:
    """The error with its place named and the key cut out, free of the exceptions that it came from."""
    text = redact(str(error), key)
    error.args = (text if where in text else f"{where}: {text}",)
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


async def _read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    raw = bytearray()
    while len(raw) < limit and (chunk := await response.content.readany()):
        raw += chunk
    return bytes(raw[:limit])
