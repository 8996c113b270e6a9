"""One request to one model: its name in the run, its key, and the events that record it.

Covers: the hash by which equal requests are found again, in every process and, for the cache, across runs. Does not cover: making and
paying for a call (`runs.calls`, `runs.attempts`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from longreach.models.base import Completion, Identified, Model, Request, Usage
from longreach.runs.events import AheadEnded, AheadStarted, CallEnded, CallStarted
from longreach.runs.ledger import Amount

__all__ = ["Asked", "as_ahead", "ended_event", "reply_key", "request_key"]

_USAGE_FIELDS = tuple(Usage.__dataclass_fields__)


@dataclass(frozen=True)
class Asked:
    """A request under its name in the run. `purpose`: 'root', 'sub', 'last' or a strategy's own word."""

    name: str
    model: Model
    request: Request
    purpose: str

    @cached_property
    def key(self) -> str:
        """As `request_key` has it."""
        return request_key(self.model, self.request)

    def started(self, branch: str, reserved: Amount, waited: float = 0.0) -> CallStarted:
        """The event of a call about to be sent. waited: seconds, for its slot."""
        request = self.request
        parameters = {name: value for name, value in _parameters(request).items() if value not in (None, (), [])}
        return CallStarted(
            branch,
            call=self.name,
            purpose=self.purpose,
            model=self.model.name,
            key=self.key,
            messages=[{"role": each.role, "content": each.content} for each in request.messages],
            parameters=parameters,
            reserved={"calls": reserved.calls, "tokens": reserved.tokens, "usd": str(reserved.usd)},
            waited_seconds=waited,
        )

    def ended(self, branch: str, completion: Completion, cost: Decimal | None, origin: str | None = None) -> CallEnded:
        """The event of an answered call. `origin`: the call, or 'cache', that the answer was reused from."""
        return ended_event(branch, self.name, completion, cost, origin)


def ended_event(
    branch: str, name: str, completion: Completion, cost: Decimal | None, origin: str | None = None
) -> CallEnded:
    """The event of the answered call `name`."""
    usage = completion.usage
    return CallEnded(
        branch,
        call=name,
        text=completion.text,
        reasoning=completion.reasoning,
        usage={each: getattr(usage, each) for each in _USAGE_FIELDS},  # `asdict` copies deeply
        usage_estimated=completion.usage_estimated,
        cost_usd=None if cost is None else str(cost),
        stop_reason=completion.stop_reason,
        latency=round(completion.latency, 4),
        reused_from=origin,
    )


def as_ahead(event: CallStarted | CallEnded) -> AheadStarted | AheadEnded:
    """The same of a call that the code has not made yet."""
    if isinstance(event, CallStarted):
        return AheadStarted(
            event.branch, event.call, event.model, event.key, event.messages, event.parameters, event.reserved
        )
    return AheadEnded(
        event.branch,
        event.call,
        event.text,
        event.reasoning,
        event.usage,
        event.usage_estimated,
        event.cost_usd,
        event.stop_reason,
        event.latency,
    )


def request_key(model: Model, request: Request) -> str:
    """Hash of the model and all that is sent to it; equal requests have equal keys, in every process."""
    schema = "" if request.json_schema is None else json.dumps(request.json_schema, sort_keys=True)
    sampling = (request.max_tokens, request.temperature, request.top_p, tuple(request.stop), request.seed)
    head = f"{model.name!r} {sampling!r} {request.reasoning_effort!r} {schema}"
    # with their lengths, so that no two conversations look alike; not as JSON, which takes three times as long for long ones
    said = "".join([f"\n{each.role} {len(each.content)} {each.content}" for each in request.messages])
    return hashlib.sha256(f"{head}{said}".encode("utf-8", "surrogatepass")).hexdigest()


def reply_key(model: Model, request: Request) -> str:
    """What a reply is kept under across runs: the request, and what answers it where the model's name alone does not say so."""
    identity = model.identity if isinstance(model, Identified) else ""
    return hashlib.sha256(f"{request_key(model, request)}\n{identity}".encode("utf-8", "surrogatepass")).hexdigest()


def _parameters(request: Request) -> dict[str, Any]:
    return {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop),
        "seed": request.seed,
        "json_schema": None if request.json_schema is None else dict(request.json_schema),
        "reasoning_effort": request.reasoning_effort,
    }
