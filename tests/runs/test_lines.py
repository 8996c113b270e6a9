"""A line and what it refers to give the event back, whatever was written before it; a conversation is written once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longreach.errors import JournalError
from longreach.runs.events import AheadEnded, AheadStarted, CallStarted, Event, RunEnded, event_from_json
from longreach.runs.lines import INLINE_CHARS, SMALL_BYTES, Conversations, Lines
from longreach.runs.requests import ended_as, started_as

HEAD = {"seq": 7, "time": 1.5}
AT = (7, 1.5)
LONG = "é" * (INLINE_CHARS + 1)
contents = st.sampled_from(["", "a", "b", '"messages":[]', "\ud800", LONG])
messages = st.builds(lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "x"]), contents)


def store(text: str) -> dict[str, Any]:
    return {"$text": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), "chars": len(text)}


def call(branch: str, conversation: list[dict[str, str]], name: str = '"messages":[]') -> CallStarted:
    schema: dict[str, Any] = {"json_schema": {"messages": []}}
    return CallStarted(branch, name, "root", "m", "k", conversation, schema, {"usd": "0"})


@st.composite
def conversations(draw: st.DrawFn) -> list[Event]:
    """Calls of two branches whose conversations grow, start anew, shrink or change in their midst; and ends of branches."""
    said: dict[str, list[dict[str, str]]] = {"0": [], "0.1": []}
    events: list[Event] = []
    for _ in range(draw(st.integers(1, 12))):
        branch = draw(st.sampled_from(["0", "0.1"]))
        match draw(st.sampled_from(["grow", "grow", "grow", "change", "shrink", "same", "end"])):
            case "grow":
                said[branch] = said[branch] + draw(st.lists(messages, min_size=1, max_size=3))
            case "change" if said[branch]:
                said[branch] = [draw(messages), *said[branch][1:], draw(messages)]
            case "shrink":
                said[branch] = said[branch][:1]
            case "end":
                events.append(RunEnded(branch, "complete", "", "", None))
        events.append(call(branch, said[branch]))
    return events


def restored(lines: list[bytes]) -> list[Event]:
    """What the lines hold, long texts put back."""
    conversations = Conversations()

    def lengthen(value: Any) -> Any:
        if isinstance(value, dict):
            return LONG if "$text" in value else {key: lengthen(each) for key, each in value.items()}
        return [lengthen(each) for each in value] if isinstance(value, list) else value

    return [event_from_json(conversations.restore(lengthen(json.loads(line)))) for line in lines]


@given(conversations())
def test_whatever_a_conversation_does_its_calls_are_read_back_whole(events: list[Event]) -> None:
    lines = Lines(store)
    assert restored([lines.line(*AT, event) for event in events]) == events


@given(conversations(), conversations())
def test_a_process_that_goes_on_refers_to_its_own_lines(before: list[Event], after: list[Event]) -> None:
    first, second = Lines(store), Lines(store)
    written = [first.line(*AT, event) for event in before] + [second.line(*AT, event) for event in after]
    assert restored(written) == before + after


@given(st.lists(messages, max_size=5))
def test_a_call_s_line_holds_its_fields(conversation: list[dict[str, str]]) -> None:
    event = call("0", conversation)
    values = json.loads(Lines(store).line(*AT, event))
    shortened = [
        {**each, "content": store(LONG) if each["content"] == LONG else each["content"]} for each in conversation
    ]
    assert values == {**HEAD, **event.to_json(), "messages": shortened}


def test_a_conversation_that_grows_is_written_once() -> None:
    lines, conversation, sizes = Lines(store), [{"role": "user", "content": "a" * 500}] * 3, []
    for number in range(50):
        conversation = [*conversation, {"role": "user", "content": f"more {number:02}"}]
        sizes.append(len(lines.line(*AT, call("0", conversation, f"0/s{number:02}/c1"))))
    assert max(sizes[1:]) < 300 < sizes[0]


def test_a_long_text_in_a_conversation_is_stored_once() -> None:
    stored: list[str] = []

    def count(text: str) -> dict[str, Any]:
        stored.append(text)
        return store(text)

    lines, conversation = Lines(count), [{"role": "user", "content": LONG}] * 3
    for _ in range(5):
        conversation = [*conversation, {"role": "user", "content": "more"}]
        lines.line(*AT, call("0", conversation))
    assert len(stored) == 3


def test_a_reference_to_a_call_that_is_not_there_is_an_error() -> None:
    lines, conversation = Lines(store), [{"role": "user", "content": "a"}] * 3
    lines.line(*AT, call("0", conversation))
    going_on = lines.line(*AT, call("0", [*conversation, conversation[0]]))
    with pytest.raises(JournalError, match="not there"):
        restored([going_on])


texts = st.sampled_from(["", "a", "\ud800", LONG])


@given(texts, texts, st.booleans(), st.integers(0, 2 * SMALL_BYTES))
def test_a_call_that_was_begun_is_read_back_whole_as_begun_and_as_made(
    said: str, reply: str, used: bool, room: int
) -> None:
    begun = AheadStarted("0", "0/s1/a1", "m", "key", [{"role": "user", "content": said}], {}, {"usd": "0"})
    answered = AheadEnded("0", "0/s1/a1", reply, "", {"input_tokens": 1}, False, "0.1", "stop", 0.2)
    name, purpose = ("0/s1/c1", "sub") if used else ("0/s1/a1", "speculative")
    events = [begun, answered, started_as(begun, name, purpose), ended_as(answered, name)]
    lines = Lines(store, room)
    assert restored([lines.line(*AT, event) for event in events]) == events


def test_another_call_with_the_same_key_is_written_as_it_is() -> None:
    begun = AheadStarted("0", "0/s1/a1", "m", "k", [{"role": "user", "content": "a"}], {}, {"usd": "0"})
    answered = AheadEnded("0", "0/s1/a1", "yes", "", {"input_tokens": 1}, False, "0.1", "stop", 0.2)
    other, reused = call("0", [{"role": "user", "content": "b"}]), replace(ended_as(answered, "x"), reused_from="y")
    lines = Lines(store)
    assert restored([lines.line(*AT, event) for event in (begun, answered, other, reused)]) == [
        begun,
        answered,
        other,
        reused,
    ]
