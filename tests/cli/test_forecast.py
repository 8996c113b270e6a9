"""Forecasts on the command line: before a run, while it goes on, and beside what it took."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from decimal import Decimal

import pytest
from rich.console import Console

from longreach.cli import plain as plain_module
from longreach.cli.forecasting import (
    beside_usage,
    forecast_for,
    forecast_for_rows,
    keep_forecast,
    kept_forecast,
    line,
    still_to_come,
)
from longreach.cli.outcome import print_outcome
from longreach.cli.plain import Plain
from longreach.cli.tree import Tree
from longreach.cli.wording import wasted
from longreach.errors import UnknownModel
from longreach.models.prices import FlatPrice
from longreach.models.registry import ModelOptions
from longreach.options import Options
from longreach.runs.events import Event, StepStarted
from longreach.runs.forecast import Forecast, Interval
from longreach.runs.trajectory import Trajectory
from tests.cli.conftest import Command, Quick, Script, find_secret
from tests.runs.test_trajectory import answered, call, records, run

FORECAST = Forecast(
    Interval.of(range(2, 22)),
    Interval.of(range(1_000, 21_000, 1_000)),
    Interval.of(range(10, 210, 10)),
    Interval.of(n / 100 for n in range(1, 21)),
    past_runs=20,
)


def taken(calls: int, tokens: int, seconds: float, cost: str | None) -> dict[str, object]:
    return {"calls": calls, "input_tokens": tokens, "output_tokens": 0, "seconds": seconds, "cost_usd": cost}


# --- in words


def test_what_it_took_beside_the_forecast() -> None:
    text = line(FORECAST)
    assert (
        text == "3 to 20 calls · 2.1k to 18.9k tokens · $0.0210 to $0.1890 · 21 s to 3m 09s (80 %, from 20 past runs)"
    )
    assert beside_usage(FORECAST, None) == text
    assert beside_usage(FORECAST, taken(5, 5_000, 30, "0.05")) == f"{text}; it took as much as that"
    more = beside_usage(FORECAST, taken(50, 500, 30, "0.05"))
    assert more == f"{text}; it took more calls than that and fewer tokens"
    assert beside_usage(FORECAST, taken(5, 5_000, 30, None)).endswith("as much as that")


def tree_of(*events: Event) -> Trajectory:
    return Trajectory(records([run(), StepStarted("0", 1), *events]))


def test_what_is_still_to_come() -> None:
    trajectory = tree_of(call("0/s1/c1", "root"), answered("0/s1/c1", "0.05"))
    assert trajectory.root is not None
    text = still_to_come(FORECAST, trajectory.root, 100.0)
    assert text == "probably 2 to 19 calls · $0.0160 to $0.1440 · 11 s to 1m 39s to come"
    many = (each for n in range(2_000) for each in (call(f"0/s1/c{n}"), answered(f"0/s1/c{n}", "1")))
    trajectory = tree_of(*many)
    assert trajectory.root is not None
    assert still_to_come(FORECAST, trajectory.root, 1e6) == "has taken more than was forecast"


def test_nothing_is_said_of_money_where_it_costs_none() -> None:
    free = forecast_for(Options(model="local/qwen2.5-coder-1.5b"), 1_000)
    assert free.usd is not None
    assert "$" not in line(free)
    assert "price not known" not in line(free)


def test_the_forecast_of_options() -> None:
    listed = forecast_for(Options(model="openai/gpt-5"), 1_000)
    assert listed.usd is not None
    assert forecast_for(Options(model="x", model_options=ModelOptions(base_url="http://h/v1")), 1_000).usd is None
    named = Options(model="openai/gpt-5", model_options=ModelOptions(base_url="http://h/v1"))
    assert forecast_for(named, 1_000).usd is None, "that server's price is not the listed one"
    priced = ModelOptions(base_url="http://h/v1", price=FlatPrice(Decimal(1), Decimal(2)))
    assert forecast_for(Options(model="x", model_options=priced), 1_000).usd is not None
    three = forecast_for(Options(model="openai/gpt-5"), 1_000, 1_000, 1_000)
    assert three.tokens.middle == pytest.approx(3 * listed.tokens.middle)


def test_rows_of_different_options_are_added_up() -> None:
    one, two = Options(model="openai/gpt-5"), Options(model="openai/gpt-5-mini", strategy="direct")
    both = forecast_for_rows([(one, 1_000), (two, 9_000), (two, 9_000)])
    apart = forecast_for(one, 1_000).tokens.middle + forecast_for(two, 9_000, 9_000).tokens.middle
    assert both.tokens.middle == pytest.approx(apart)
    assert both.usd is not None
    with pytest.raises(UnknownModel, match="nowhere"):
        forecast_for_rows([(one, 1_000), (Options(model="nowhere/x"), 1)])


# --- while a run goes on


def frames(events: Sequence[Event]) -> str:
    file = io.StringIO()
    with Tree(Console(file=file, width=100, height=24, force_terminal=True)) as tree:
        tree.expect(FORECAST)
        for record in records(events):
            tree.record(record)
        tree._live.refresh()
        return file.getvalue()


def test_the_tree_says_what_is_still_to_come() -> None:
    shown = frames([run(), StepStarted("0", 1), call("0/s1/c1", "root"), answered("0/s1/c1", "0.05")])
    assert " to come" in shown or "more than was forecast" in shown


def test_plain_lines_say_it_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_module, "SECONDS_BETWEEN_COUNTS", 0.0)
    with Plain() as view:
        view.expect(FORECAST)
        for record in records([run(), StepStarted("0", 1), call("0/s1/c1", "root"), answered("0/s1/c1", "0.05")]):
            view.record(record)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"probably {line(FORECAST)}"
    assert "1 call, 12 tokens, $0.0500; probably 2 to 19 calls" in lines[-1]


# --- the command


def test_dry_run_sends_nothing_and_needs_no_key(quick: Quick, longreach: Command) -> None:
    done = quick("ask", "Q", "input.txt", "--dry-run", "--model", "openai/gpt-5", "--sub-model", "openai/gpt-5-mini")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("context   10,717 characters, about 2.7k tokens")
    assert lines[2] == "models    openai/gpt-5, sub-calls openai/gpt-5-mini"
    assert [each.split()[0] for each in lines[4:9]] == ["calls", "tokens", "cost", "time", "basis"]
    assert "$0.0" in lines[6]
    assert "a guess: no such run was made here yet" in lines[8]
    assert lines[-1] == "Nothing was sent."
    assert longreach.runs == []


def test_dry_run_as_json_with_a_budget(quick: Quick) -> None:
    done = quick(
        "ask", "Q", "input.txt", "--dry-run", "--json", "--model", "openai/gpt-5", "--calls", "1", "--usd", "9"
    )
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert found["calls"]["low"] < found["calls"]["middle"] < found["calls"]["high"]
    assert (found["budget_may_end_it"], found["past_runs"], found["coverage"]) == (["calls"], 0, 0.8)
    assert found["about"]["strategy"] == "rlm"


def test_dry_run_without_a_known_price_and_a_budget_that_is_too_small(quick: Quick) -> None:
    model = ("--model", "x", "--base-url", "http://127.0.0.1:9/v1")
    done = quick("ask", "Q", "input.txt", "--dry-run", *model, "--tokens", "10")
    assert "cost      price not known" in done.stdout
    assert "The budget's tokens will probably be spent before the answer" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("Q", "input.txt", "--model", "nowhere/x"), 1, "unknown model 'nowhere/x'"),
        (("Q", "input.txt", "--strategy", "rml"), 2, "did you mean 'rlm'"),
        (("Q", "nowhere.txt"), 1, "nowhere.txt"),
        ((" ", "input.txt"), 2, "the question is empty"),
    ],
)
def test_dry_run_says_what_would_keep_the_run_from_beginning(
    quick: Quick, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = quick("ask", *arguments, "--dry-run")
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr.replace("\n", " ")


def test_dry_run_of_a_batch(quick: Quick, longreach: Command) -> None:
    rows = [{"query": "Q", "paths": ["input.txt"]}] * 3 + [
        {"query": "Q", "context": "x", "options": {"strategy": "direct"}}
    ]
    (longreach.folder / "q.jsonl").write_text("\n".join(json.dumps(each) for each in rows))
    line = ("batch", "q.jsonl", "--out", "a.jsonl", "--dry-run", "--model", "openai/gpt-5", "--total-usd", "0.01")
    done = quick(*line)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["questions 4, 4 at once", "contexts  about 8.0k tokens in all"]
    assert "The budget's usd will probably be spent" in done.stdout
    assert lines[-1] == "Nothing was sent."
    assert not (longreach.folder / "a.jsonl").exists()
    assert longreach.runs == []


def test_dry_run_of_a_batch_is_about_the_rows_that_are_left(quick: Quick, longreach: Command, script: Script) -> None:
    questions, out = longreach.folder / "q.jsonl", longreach.folder / "a.jsonl"
    rows = [{"query": "Q", "context": f"text {number}"} for number in range(3)]
    questions.write_text("\n".join(json.dumps(each) for each in rows))
    how = ("--model", script(default="yes"), "--strategy", "direct", "--json")
    batch = ("batch", "q.jsonl", "--out", "a.jsonl", *how)
    first = quick(*batch, "--total-calls", "2", "--rows", "1")
    told = json.loads(first.stdout)
    assert (first.returncode, told["left"], told["statuses"], told["usage"]["calls"]) == (3, 1, {"complete": 2}, 2)

    before = out.read_bytes()
    dry = quick(*batch, "--dry-run", "--total-calls", "2")
    found = json.loads(dry.stdout)
    assert found["about"] == {"questions": 1, "answered": {"complete": 2}, "at_once": 1, "context_tokens": 2}
    assert found["calls"]["high"] < 2
    shown = quick(*batch[:-1], "--dry-run").stdout
    assert "answered  2 rows (2 complete), and not counted here" in shown
    again = json.loads(quick(*batch, "--dry-run", "--again", "failed").stdout)
    assert again["about"] == found["about"]
    assert out.read_bytes() == before

    assert quick(*batch).returncode == 0
    done = json.loads(quick(*batch, "--dry-run").stdout)
    assert (done["about"], done["calls"]["high"]) == ({"questions": 0, "answered": {"complete": 3}}, 0)
    assert "No row is left to be asked." in quick(*batch[:-1], "--dry-run").stdout

    questions.write_text(json.dumps(rows[1]))
    other = quick(*batch, "--dry-run")
    assert (other.returncode, other.stdout) == (2, "")
    assert "holds answers to other questions" in other.stderr


def test_dry_run_reckons_with_what_the_batch_has_spent(quick: Quick, longreach: Command, script: Script) -> None:
    rows = [{"query": "Q", "context": f"text {number}"} for number in range(6)]
    (longreach.folder / "q.jsonl").write_text("\n".join(json.dumps(each) for each in rows))
    how = ("--model", script(default="yes"), "--strategy", "direct", "--json")
    batch = ("batch", "q.jsonl", "--out", "a.jsonl", *how)
    first = json.loads(quick(*batch, "--total-calls", "4", "--rows", "1").stdout)
    spent = first["usage"]["tokens"]
    assert (first["left"], spent > 0) == (2, True)

    def may_end_it(tokens: int) -> list[str]:
        found = json.loads(quick(*batch, "--dry-run", "--total-tokens", str(tokens)).stdout)
        return list(found["budget_may_end_it"])

    middle = json.loads(quick(*batch, "--dry-run").stdout)["tokens"]["middle"]
    assert may_end_it(spent + int(middle) + 9) == []
    assert may_end_it(spent + int(middle) - 9) == ["tokens"]
    assert may_end_it(spent - 1) == ["tokens"]


def test_forecasts_rest_on_past_runs_and_are_shown_beside_what_was_used(
    quick: Quick, longreach: Command, script: Script
) -> None:
    model = script(*find_secret())
    first = quick("ask", "Q", "input.txt", "--model", model)
    assert "probably " in first.stderr
    assert "a guess: no such run was made here yet" in first.stderr
    kept = kept_forecast(longreach.runs[0])
    assert kept is not None
    assert kept.past_runs == 0
    shown = quick("show", "last", COLUMNS="300").stdout
    assert "forecast  " in shown
    assert "it took " in shown
    second = quick("ask", "Q", "input.txt", "--model", model)
    assert "from 1 past run and a guess" in second.stderr
    keep_forecast(FORECAST, longreach.runs[0] / "journal.jsonl")
    assert kept_forecast(longreach.runs[0]) == kept, "a resumed run keeps the one that it began with"
    (longreach.runs[0] / "forecast.json").write_text("{}")
    assert quick("show", longreach.runs[0].name).returncode == 0


# --- what was sent ahead for nothing


def test_what_speculation_wasted_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    usage = {
        "calls": 40,
        "speculative_calls": 30,
        "wasted_calls": 2,
        "wasted_tokens": 1_200,
        "wasted_cost_usd": "0.0011",
    }
    said = "2 of 30 sub-calls sent ahead were never used: 1.2k tokens, $0.0011"
    assert wasted(usage) == said
    assert wasted(usage | {"wasted_calls": 1, "wasted_cost_usd": None}) == (
        "1 of 30 sub-calls sent ahead was never used: 1.2k tokens"
    )
    assert wasted(usage | {"wasted_calls": 0}) == wasted({}) == ""
    outcome = {"text": "x", "status": "complete", "reason": "", "run_id": "r", "journal": "j", "usage": usage}
    print_outcome(outcome, as_json=False, quiet=False)
    assert said in capsys.readouterr().err


def test_files_that_were_left_out_are_counted(quick: Quick, longreach: Command, script: Script) -> None:
    (longreach.folder / "in").mkdir()
    (longreach.folder / "in" / "a.txt").write_text("alpha")
    (longreach.folder / "in" / "b.bin").write_bytes(b"\0" * 9)
    done = quick("ask", "Q", "in", "--strategy", "direct", "--model", script(default="x"))
    assert "left out: 1 binary" in done.stderr
    assert "5 characters, 1 file left out" in done.stderr
