from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longreach.errors import (
    AuthenticationFailed,
    BadResponse,
    ContextWindowExceeded,
    ModelError,
    ModelTimeout,
    ProviderUnavailable,
    RequestRefused,
    UnknownModel,
    UsageError,
)
from longreach.models.base import Message, Request
from longreach.models.registry import ModelOptions, open_model
from longreach.models.retry import RetryPolicy
from longreach.models.script import FAULTS, load_script, parse_script
from longreach.models.scripted import ScriptedModel
from tests.models.watch import Watch, ask


def scripted(script: dict[str, Any], attempts: int = 4) -> ScriptedModel:
    return ScriptedModel("scripted/test", parse_script(script), RetryPolicy(attempts=attempts, first_wait=0.0))


async def reply_text(model: ScriptedModel, request: Request) -> str:
    return (await model.generate(request)).text


async def test_first_rule_that_applies_gives_the_reply() -> None:
    model = scripted(
        {
            "rules": [
                {"contains": "capital", "role": "sub", "text": "Paris"},
                {"contains": "capital", "text": "asked by the root"},
                {"system_matches": r"^You are .*root", "turn": 1, "text": "first turn"},
                {"system_contains": "root", "text": "later turn"},
            ],
            "default": "no idea",
        }
    )
    assert await reply_text(model, ask("the capital?")) == "Paris"
    assert await reply_text(model, ask("the capital?", system="s")) == "asked by the root"
    assert await reply_text(model, ask("go", system="You are the root")) == "first turn"
    later = Request(
        (Message("system", "root"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")), 100
    )
    assert await reply_text(model, later) == "later turn"
    assert await reply_text(model, ask("else")) == "no idea"
    assert [each.messages[-1].content for each in model.requests] == [
        "the capital?",
        "the capital?",
        "go",
        "c",
        "else",
    ]


async def test_groups_are_inserted_and_user_text_is_never_formatted() -> None:
    model = scripted({"rules": [{"matches": r"key (?P<key>\S+) in (.*)", "text": "<{{key}}|{{2}}|{{ 0 }}> {x} {0}"}]})
    assert await reply_text(model, ask("key {{2}}{0} in %s{y}")) == "<{{2}}{0}|%s{y}|key {{2}}{0} in %s{y}> {x} {0}"


async def test_replies_in_turn_and_nth_call() -> None:
    model = scripted({"rules": [{"call": 2, "text": "second"}, {"replies": ["a", {"text": "b"}]}]})
    assert [await reply_text(model, ask("x")) for _ in range(4)] == ["a", "second", "b", "b"]


async def test_usage_is_counted_given_or_cut_at_the_limit() -> None:
    model = scripted(
        {
            "rules": [
                {
                    "contains": "given",
                    "text": "t",
                    "usage": {"input_tokens": 7, "output_tokens": 5, "cached_input_tokens": 3},
                }
            ],
            "default": {"text": "x" * 100, "reasoning": "12345678"},
        }
    )
    given = await model.generate(ask("given"))
    assert (given.usage.input_tokens, given.usage.output_tokens, given.usage.cached_input_tokens) == (7, 5, 3)
    counted = await model.generate(ask("12345"))
    assert (counted.usage.input_tokens, counted.usage.output_tokens, counted.usage.reasoning_tokens) == (2, 27, 2)
    assert counted.stop_reason == "stop"
    short = await model.generate(ask("12345", max_tokens=10))
    assert (short.text, short.stop_reason, short.usage.output_tokens) == ("x" * 32, "length", 10)
    assert model.bound_tokens(ask("12345").messages) == short.usage.input_tokens


async def test_observer_hears_the_reply_and_the_retries() -> None:
    model = scripted({"default": "-", "rules": [{"replies": [{"fault": "drop"}, {"text": "good", "reasoning": "hm"}]}]})
    watch = Watch()
    completion = await model.generate(ask("x"), watch)
    assert (completion.text, completion.reasoning) == ("good", "hm")
    assert (watch.texts, watch.reasonings) == (["good"], ["hm"])
    assert [(type(error), error.possibly_charged) for error, _ in watch.retries] == [(ProviderUnavailable, True)]


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"no_usage"}))
async def test_every_fault_is_a_typed_error(fault: str) -> None:
    model = scripted({"default": {"text": "abc", "fault": fault}}, attempts=2)
    with pytest.raises(ModelError) as caught:
        await model.generate(ask("x"), Watch())
    expected: dict[str, type[ModelError]] = {
        "unauthorized": AuthenticationFailed,
        "refused": RequestRefused,
        "context_length": ContextWindowExceeded,
        "stall": ModelTimeout,
        "stall_mid_stream": ModelTimeout,
        "invalid_json": BadResponse,
        "no_choices": BadResponse,
    }
    if fault in expected:
        assert type(caught.value) is expected[fault]
    assert caught.value.retryable == (fault not in {"unauthorized", "refused", "context_length"})


async def test_no_usage_is_marked() -> None:
    assert (await scripted({"default": {"text": "a", "fault": "no_usage"}}).generate(ask("x"))).usage_estimated


async def test_a_prompt_beyond_the_window_is_refused() -> None:
    model = scripted({"default": "a", "context_window": 50})
    assert await reply_text(model, ask("x" * 40, max_tokens=40)) == "a"
    with pytest.raises(ContextWindowExceeded):
        await model.generate(ask("x" * 44, max_tokens=40))


async def test_no_rule_and_no_default_says_what_was_asked() -> None:
    model = scripted({"rules": [{"contains": "zebra", "text": "b"}]})
    with pytest.raises(RequestRefused, match="no rule of script applies to 'what now"):
        await model.generate(ask("what now"))
    assert model.script.unanswered == ["what now"]


async def test_opened_by_name_from_json_and_toml(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(
        json.dumps({"default": "from json", "price": [1, 2], "prompt_family": "small"}), "utf-8"
    )
    (tmp_path / "s.toml").write_text(
        'price = "unknown"\n[[rules]]\nmatches = "a+"\ntext = "<{{0}}>"\n[default]\ntext = "d"\n'
    )
    one, two = open_model(f"scripted/{tmp_path}/s.json"), open_model(f"scripted/{tmp_path}/s.toml")
    assert (await one.generate(ask("x"))).text == "from json"
    assert one.prompt_family == "small"
    assert one.price is not None
    assert (await two.generate(ask("caaat"))).text == "<aaa>"
    assert two.price is None
    await one.close()
    with pytest.raises(UsageError, match="closed"):
        await one.generate(ask("x"))


async def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="no script at"):
        open_model("scripted/nowhere.json")
    with pytest.raises(UnknownModel, match="scripted/PATH"):
        open_model("scripted/")
    with pytest.raises(UsageError, match="takes no base URL"):
        open_model("scripted/x.json", ModelOptions(base_url="http://localhost/v1"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match="not valid JSON"):
        load_script(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({}, "needs 'rules' or a 'default'"),
        ([], "a table of fields is expected"),
        ({"rules": [{"contains": "a"}]}, "give the reply once"),
        ({"rules": [{"text": "a", "reply": "b"}]}, "give the reply once"),
        ({"rules": [{"replies": []}]}, "at least one reply"),
        ({"rules": [{"txt": "a"}]}, "rule 1: there is no field 'txt'"),
        ({"rules": [{"matches": "(", "text": "a"}]}, "no regular expression"),
        ({"rules": [{"matches": "(a)", "text": "{{2}}"}]}, "names no group"),
        ({"rules": [{"matches": "(a)", "text": "{{name}}"}]}, "names no group"),
        ({"rules": [{"role": "boss", "text": "a"}]}, "one of root, sub"),
        ({"rules": [{"turn": 0, "text": "a"}]}, "whole number from 1"),
        ({"default": {"fault": "explode"}}, "one of rate_limited"),
        ({"default": {"latency": -1}}, "seconds from 0"),
        ({"default": {"usage": {"input_tokens": -1}}}, "whole numbers from 0"),
        ({"default": "a", "price": [1]}, "USD per million tokens"),
    ],
)
def test_a_wrong_script_says_where(script: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_script(script)
