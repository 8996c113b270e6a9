"""Sub-calls sent ahead in whole runs: the answers and the journal are as without, and what is wasted is counted."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from longreach.models.base import CallObserver, Completion, Request
from longreach.models.scripted import ScriptedModel
from longreach.options import Options
from longreach.resume import aresume
from longreach.runs import Answer, Budget, Settings
from longreach.runs.events import AheadEnded, AheadStarted, CallEnded, CallFailed, CallStarted, Event
from longreach.runs.journal import JOURNAL_NAME
from tests.sandbox.test_scouts import Foreseeing, started
from tests.strategies.scripting import of_kind, run, scripted

PATIENCE = 20.0
LOOP = "len(context)\nFINAL(' '.join(llm_query(f'number {n}') for n in range(12)))"
CHAIN = """len(context)
found = []
for n in range(4):
    first = llm_query(f'number {n}')
    found.append(llm_query(f'more on {first}'))
FINAL(' '.join(found))"""
BREAK = """len(context)
for n in range(40):
    if llm_query(f'number {n}') == 'it is 5':
        break
FINAL(str(n))"""


def model(code: str) -> ScriptedModel:
    return scripted(
        {"role": "sub", "matches": r"number (\d+)", "reply": {"text": "it is {{1}}", "latency": 0.03}},
        {"role": "sub", "matches": r"more on it is (\d+)", "reply": {"text": "more {{1}}", "latency": 0.03}},
        {"role": "root", "text": f"```repl\n{code}\n```"},
        price=[1, 2],
    )


class Unhurried(ScriptedModel):
    """Answers 'number N' once 'number N + 1' was sent, up to `last`: so that scouts have the time that they need on a busy machine."""

    def __init__(self, model: ScriptedModel, last: int) -> None:
        super().__init__(model.name, model.script)
        self._last = last
        self._sent: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def generate(self, request: Request, observer: CallObserver | None = None) -> Completion:
        if found := re.fullmatch(r"number (\d+)", request.messages[-1].content):
            number = int(found[1])
            self._sent[number].set()
            if number < self._last:
                with suppress(TimeoutError):  # a look ahead was given up: that one call is made without
                    await asyncio.wait_for(self._sent[number + 1].wait(), PATIENCE)
        return await super().generate(request, observer)


async def ask(
    code: str, speculate: str | int, asked: ScriptedModel | None = None, **options: Any
) -> tuple[Answer, list[Event]]:
    return await run("What?", "x" * 100, asked or model(code), settings=Settings(speculate=speculate), **options)


@pytest.fixture(scope="module", autouse=True)
def scouts() -> None:
    """Skips where there are none: an unhurried model would wait for them."""

    async def look() -> None:
        await (await started(Foreseeing())).close()

    asyncio.run(look())


def without_times(events: list[Event]) -> list[dict[str, Any]]:
    """What the promise of equal journals is about: not times, nor what was sent ahead."""
    kept = []
    for event in events:
        values = event.to_json()
        speculative = values.get("purpose") == "speculative" or "/a" in str(values.get("call"))
        if isinstance(event, (AheadStarted, AheadEnded)) or speculative or event.kind.startswith(("run.", "sandbox.")):
            continue
        times = ("latency", "seconds", "waited_seconds")
        kept.append({name: value for name, value in values.items() if name not in times})
    return kept


async def test_a_plain_loop_wastes_nothing_and_is_recorded_as_without() -> None:
    plain, without = await ask(LOOP, "off")
    fast, events = await ask(LOOP, "auto", Unhurried(model(LOOP), 11))
    assert fast.text == plain.text == " ".join(f"it is {n}" for n in range(12))
    assert (plain.usage.speculative_calls, plain.usage.wasted_calls) == (0, 0)
    assert fast.usage.speculative_calls > 4
    assert fast.usage.wasted_calls == 0
    assert (fast.usage.calls, fast.usage.cost) == (plain.usage.calls, plain.usage.cost)
    assert without_times(events) == without_times(without)
    assert len(of_kind(events, AheadStarted)) == len(of_kind(events, AheadEnded)) == fast.usage.speculative_calls


async def test_calls_that_depend_on_answers_are_not_sent_ahead() -> None:
    plain, without = await ask(CHAIN, "off")
    fast, events = await ask(CHAIN, "auto")
    assert fast.text == plain.text == "more 0 more 1 more 2 more 3"
    assert without_times(events) == without_times(without)
    assert all(
        "\ufdd0" not in message["content"] for each in of_kind(events, AheadStarted) for message in each.messages
    )


@pytest.mark.parametrize("most", [1, 3, "auto"])
async def test_waste_is_bounded_counted_and_recorded(most: str | int) -> None:
    plain, without = await ask(BREAK, "off")
    fast, events = await ask(BREAK, most, Unhurried(model(BREAK), 39))
    assert fast.text == plain.text == "5"
    window = 32 if most == "auto" else int(most)
    assert 0 < fast.usage.wasted_calls <= window
    unused = [each for each in of_kind(events, CallStarted) if each.purpose == "speculative"]
    ended = {each.call for each in of_kind(events, CallEnded)} | {each.call for each in of_kind(events, CallFailed)}
    assert len(unused) == fast.usage.wasted_calls
    assert {each.call for each in unused} <= ended
    assert without_times(events) == without_times(without)
    assert fast.usage.to_json()["wasted_calls"] == fast.usage.wasted_calls
    answered = [each for each in of_kind(events, CallEnded) if each.call in {call.call for call in unused}]
    assert fast.usage.wasted_tokens == sum(
        each.usage["input_tokens"] + each.usage["output_tokens"] for each in answered
    )
    assert fast.usage.wasted_cost == sum(Decimal(each.cost_usd or 0) for each in answered)


async def test_a_tight_budget_is_left_to_the_calls_that_the_code_makes() -> None:
    answer, events = await ask(LOOP, "auto", budget=Budget(calls=14))  # 12, the root's, and the last answer's
    assert (answer.status, answer.usage.calls) == ("complete", 13)
    assert answer.usage.wasted_calls == 0
    assert len(of_kind(events, AheadStarted)) <= 1


async def test_a_call_that_failed_ahead_is_made_again() -> None:
    broken = scripted(
        {"role": "sub", "contains": "number 1", "replies": [{"fault": "refused"}, {"text": "it is 1"}]},
        {"role": "sub", "matches": r"number (\d+)", "reply": {"text": "it is {{1}}", "latency": 0.05}},
        {"role": "root", "text": f"```repl\n{LOOP.replace('12', '3')}\n```"},
    )
    answer, events = await ask("", "auto", Unhurried(broken, 2))
    assert answer.text == "it is 0 it is 1 it is 2"
    assert [each.call for each in of_kind(events, CallFailed)] == ["0/s1/a1"]


async def test_what_was_answered_ahead_is_not_paid_again_after_a_crash() -> None:
    answer, events = await ask(LOOP, "auto", Unhurried(model(LOOP), 11))
    assert answer.journal is not None
    path = answer.journal.parent / JOURNAL_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    cut = max(number for number, line in enumerate(lines) if b'"ahead.ended"' in line)
    path.write_bytes(b"".join(lines[: cut + 1]))
    paid = sum(b'"ahead.ended"' in line for line in lines)
    again = model(LOOP)
    resumed = await aresume(answer.run_id, options=Options(model=again))
    assert resumed.text == answer.text
    assert paid == answer.usage.speculative_calls
    sent = [request.messages[-1].content for request in again.requests]
    known = {each.call for each in of_kind(events, AheadEnded)}
    foreseen = {each.messages[-1]["content"] for each in of_kind(events, AheadStarted) if each.call in known}
    assert not foreseen & set(sent)
