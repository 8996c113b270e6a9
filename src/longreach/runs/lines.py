"""An event as a line of the journal, and back.

Covers: the JSON of a line, long texts replaced by what `store` makes of them, conversations that grow from call to call. Does not cover:
the file (`runs.journal`).

A file of its own costs more than all the rest of a line, so a short journal has all its texts in its lines: as long as a line is within
the journal's first `SMALL_BYTES` it is written as it is.

A call that was begun before the code made it is recorded twice, as begun and as made. What both lines say is encoded once.

A root model's conversation is sent whole in each step. Recorded whole, the journal of 200 steps would be a hundred times as long as what
was said in it. So a call's line holds the messages that its branch's last call did not have, after a first item that names it:
{"$after": call, "first": n} stands for the first n messages of that call, which stands earlier in the same journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from longreach.errors import JournalError
from longreach.runs.events import SCHEMA_VERSION, AheadEnded, AheadStarted, CallEnded, CallStarted, Event, RunEnded

__all__ = ["INLINE_CHARS", "SMALL_BYTES", "Conversations", "Lines"]

INLINE_CHARS = 1_000
SMALL_BYTES = 1 << 16
LEAST_MESSAGES = 3  # shorter conversations, mostly those of sub-calls, are not referred to
AFTER = "$after"

_NAMING = ("branch", "call")
_SAID = {each: [x.name for x in fields(each) if x.name not in _NAMING] for each in (AheadStarted, AheadEnded)}
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call and what was said in it."""

    name: str
    messages: _Messages


class Lines:
    """Makes the lines of one journal, in order.

    store: what stands for a text that is longer than `INLINE_CHARS`. room: bytes that may be written before any text is stored.
    """

    def __init__(self, store: Callable[[str], Mapping[str, Any]], room: int = 0) -> None:
        self._store = store
        self._room = room
        self._calls: dict[str, _Call] = {}
        self._begun = _Begun()

    def line(self, seq: int, time: float, event: Event) -> bytes:
        """The event's line, with its number and its time in seconds since the epoch. Raises what `store` raises."""
        schema = "" if seq else f'"schema":{SCHEMA_VERSION},'
        line = f'{{{schema}"seq":{seq},"time":{time!r},{self._fields(event)}'.encode() + b"\n"
        self._room -= len(line)
        return line

    def _fields(self, event: Event) -> str:
        """The event's fields as JSON, without the brace that opens it."""
        if isinstance(event, (AheadStarted, AheadEnded)):
            return self._begun.keep(event, self._encoded(_said(event)))
        if isinstance(event, (CallStarted, CallEnded)) and (made := self._begun.made(event)):
            return made
        values = event.to_json()
        if isinstance(event, CallStarted):
            values["messages"] = self._new_messages(event)
        elif isinstance(event, RunEnded):
            self._calls.pop(event.branch, None)
        return self._encoded(values)

    def _encoded(self, values: Mapping[str, Any]) -> str:
        most = max(INLINE_CHARS, self._room)  # within it no text is too long
        text = _encode(values) if _chars(values) < most else ""
        if not 0 < len(text) < most:
            text = _encode(self._shorten(values))
        return text[1:]

    def _new_messages(self, event: CallStarted) -> Sequence[Mapping[str, Any]]:
        messages = event.messages
        if len(messages) < LEAST_MESSAGES:
            return messages
        before = self._calls.get(event.branch)
        self._calls[event.branch] = _Call(event.call, messages)
        if before is None or messages[: len(before.messages)] != before.messages:
            return messages
        first = len(before.messages)
        return [{AFTER: before.name, "first": first}, *messages[first:]]

    def _shorten(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) <= INLINE_CHARS else self._store(value)
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, (dict, Mapping)):  # to ask for an abstract type alone takes long
            return {key: self._shorten(each) for key, each in value.items()}
        if isinstance(value, (list, tuple, Sequence)):
            return [self._shorten(each) for each in value]
        return value


class _Begun:
    """Calls that were begun before the code made them, from then until it does: the JSON of what both lines of each say."""

    def __init__(self) -> None:
        self._started: dict[str, tuple[AheadStarted, str]] = {}
        """By key."""
        self._ended: dict[str, tuple[AheadEnded, str]] = {}
        """By the name that a call was begun under, and from when it is made by that which it has then."""

    def keep(self, event: AheadStarted | AheadEnded, said: str) -> str:
        """The fields of a call as it is begun. said: the JSON of what its other line will say too, without the brace that opens it."""
        if isinstance(event, AheadStarted):
            self._started[event.key] = event, said
        else:
            self._ended[event.call] = event, said
        return f"{_name(event)}{said}"

    def made(self, event: CallStarted | CallEnded) -> str:
        """The fields of such a call as it is made; empty when it is another one, or says something else."""
        if isinstance(event, CallStarted):
            begun, said = self._started.pop(event.key, (None, ""))
            if begun is None or begun.messages is not event.messages or begun.reserved is not event.reserved:
                return ""
            if ended := self._ended.pop(begun.call, None):
                self._ended[event.call] = ended
            more = f'"purpose":{_encode(event.purpose)},"waited_seconds":{event.waited_seconds!r},'
        else:
            answered, said = self._ended.pop(event.call, (None, ""))
            if answered is None or answered.usage is not event.usage or event.reused_from is not None:
                return ""
            more = ""
        return f"{_name(event)}{more}{said}"


class Conversations:
    """Finds the messages that the lines of one journal, read in order, refer to."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def restore(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """A line's values with its messages whole. Raises `JournalError` where it refers to a call that is not there."""
        messages = values.get("messages")
        if values.get("event") != CallStarted.kind or not isinstance(messages, list):
            return values
        if messages and AFTER in messages[0]:
            before = self._calls.get(values["branch"])
            first = messages[0].get("first")
            if before is None or before.name != messages[0][AFTER] or first != len(before.messages):
                raise JournalError(
                    f"the call {values.get('call')} goes on from {messages[0][AFTER]}, which is not there"
                )
            messages = [*before.messages, *messages[1:]]
            values = {**values, "messages": messages}
        if len(messages) >= LEAST_MESSAGES:
            self._calls[values["branch"]] = _Call(values["call"], messages)
        return values


def _chars(values: Mapping[str, Any]) -> int:
    """How long the line is at least, from the texts that may be long."""
    texts = [each for each in values.values() if type(each) is str]
    texts += [each.get("content", "") for each in values.get("messages", ())]
    if isinstance(context := values.get("context"), dict):
        texts.append(context.get("text", ""))
    return sum(map(len, texts))


def _said(event: AheadStarted | AheadEnded) -> dict[str, Any]:
    """What is the same when the code makes the call."""
    return {name: getattr(event, name) for name in _SAID[type(event)]}


def _name(event: AheadStarted | AheadEnded | CallStarted | CallEnded) -> str:
    return f'"event":"{event.kind}","branch":{_encode(event.branch)},"call":{_encode(event.call)},'
