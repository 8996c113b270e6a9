"""An event as a line of the journal, and back.

Covers: the JSON of a line, long texts replaced by what `store` makes of them, conversations that grow from call to call. Does not cover:
the file (`runs.journal`).

A file of its own costs more than all the rest of a line, so a short journal has all its texts in its lines: as long as a line is within
the journal's first `SMALL_BYTES` it is written as it is.

A root model's conversation is sent whole in each step. Recorded whole, the journal of 200 steps would be a hundred times as long as what
was said in it. So a call's line holds the messages that its branch's last call did not have, after a first item that names it:
{"$after": call, "first": n} stands for the first n messages of that call, which stands earlier in the same journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longreach.errors import JournalError
from longreach.runs.events import CallStarted, Event, RunEnded

__all__ = ["INLINE_CHARS", "SMALL_BYTES", "Conversations", "Lines"]

INLINE_CHARS = 1_000
SMALL_BYTES = 1 << 16
LEAST_MESSAGES = 3  # shorter conversations, mostly those of sub-calls, are not referred to
AFTER = "$after"

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

    def line(self, head: Mapping[str, Any], event: Event) -> bytes:
        """The event's line: the fields of `head`, then its own. Raises what `store` raises."""
        values = {**head, **event.to_json()}
        if isinstance(event, CallStarted):
            values["messages"] = self._new_messages(event)
        elif isinstance(event, RunEnded):
            self._calls.pop(event.branch, None)
        most = max(INLINE_CHARS, self._room)  # within it no text is too long
        line = _encode(values) if _chars(values) < most else ""
        if not 0 < len(line) < most:
            line = _encode(self._shorten(values))
        self._room -= len(line) + 1
        return line.encode() + b"\n"

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
    texts = [each for each in values.values() if isinstance(each, str)]
    texts += [each.get("content", "") for each in values.get("messages", ())]
    if isinstance(context := values.get("context"), dict):
        texts.append(context.get("text", ""))
    return sum([len(each) for each in texts])
