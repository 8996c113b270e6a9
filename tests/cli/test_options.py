from __future__ import annotations

import argparse

import pytest

from longreach.cli.options import add_total_budget_options, total_budget
from longreach.runs import Budget


def parsed(*arguments: str, seconds: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_total_budget_options(parser, "of all", seconds)
    return parser.parse_args(arguments)


def test_what_is_not_given_has_no_limit() -> None:
    assert total_budget(parsed()) == Budget()
    assert total_budget(parsed("--total-calls", "3", "--total-usd", "0.10")) == Budget(usd=0.1, calls=3)


def test_seconds_are_an_option_only_where_it_is_said_what_they_count() -> None:
    given = parsed("--total-seconds", "9", "--total-tokens", "2k", seconds="seconds of all")
    assert total_budget(given) == Budget(tokens=2000, seconds=9.0)
    with pytest.raises(SystemExit):
        parsed("--total-seconds", "9")
