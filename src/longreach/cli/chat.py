"""`longreach chat`: several questions about the same files.

Covers: reading questions from a terminal or a pipe, following and printing each answer, Ctrl-C, which ends a question and not the chat.
Does not cover: what lives on between questions (`longreach.chat`), the event loop (`cli.background`).
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longreach.cli.following import Follower
from longreach.cli.interrupt import Interrupts
from longreach.cli.options import (
    add_ask_options,
    add_output_options,
    add_total_budget_options,
    ask_options,
    total_budget,
)
from longreach.cli.outcome import STATUS_CODES, print_outcome
from longreach.cli.streams import error_console
from longreach.cli.untrusted import clean, one_line
from longreach.errors import LongreachError, UsageError

if TYPE_CHECKING:
    from longreach.chat import Chat
    from longreach.cli.background import Background
    from longreach.options import Options
    from longreach.runs import Record
    from longreach.runs.forecast import Forecast

__all__ = ["register", "run"]

PROMPT = "> "


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the sub-command."""
    parser = commands.add_parser(
        "chat",
        help="ask several questions about the same files",
        usage="longreach chat PATH [PATH ...] [options]",
        description="Ask several questions about files and folders, at a prompt or one a line from standard input. The REPL's "
        "variables live on from one question to the next. The budget is that of each question.",
        epilog="Ctrl-C ends the question, Ctrl-D the chat. Exit status after a pipe: that of the worst answer, as `longreach ask` has it.",
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files and folders")
    add_ask_options(parser)
    add_total_budget_options(parser, "the budget of all questions together", "seconds spent on answering")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Answer until there are no more questions; the exit status. Raises `LongreachError` when the chat cannot begin."""
    if "-" in given.paths:
        raise UsageError("standard input is where the questions come from: name files or folders")
    options = ask_options(given)

    from longreach.cli.background import Background, ended_by_signals
    from longreach.cli.pulling import fetch_missing_weights

    with Interrupts(STATUS_CODES["failed"]) as interrupts:
        fetch_missing_weights([options.model, options.sub_model, *options.fallback], given.quiet, interrupts)
    at_terminal = sys.stdin.isatty()
    with ended_by_signals(), Background() as background:
        talk = _Talk(given, background)
        talk.open(options, at_terminal)
        try:
            for question in _questions(at_terminal):
                _ask(talk, question, at_terminal)
        finally:
            talk.close()
    return 0 if at_terminal else talk.status


def _ask(talk: _Talk, question: str, at_terminal: bool) -> None:
    try:
        talk.ask(question)
    except KeyboardInterrupt:
        # a second Ctrl-C, while the first one's question is cleaned up
        if not at_terminal:
            raise


class _Talk:
    """One chat, its questions followed and printed one after another."""

    def __init__(self, given: argparse.Namespace, background: Background) -> None:
        self.status = 0
        self._given = given
        self._background = background
        self._chat: Chat | None = None
        self._follower: Follower | None = None
        self._lost: dict[str, str] = {}

    def open(self, options: Options, at_terminal: bool) -> None:
        """Read the files, open the models. Raises `LongreachError`."""
        from longreach.chat import Chat
        from longreach.cli.wording import context_size

        options = replace(options, listener=self.record, progress=self, journal_opened=self.opened)
        given: dict[str, Any] = {each.name: getattr(options, each.name) for each in fields(options)}
        self._say(f"reading {', '.join(self._given.paths[:3])}")
        chat = Chat(*self._given.paths, total=total_budget(self._given), **given)
        self._chat = self._background.run(chat.__aenter__())
        context = self._chat.context
        self._say(
            context_size(len(context), len(context.parts))
            + ("; Ctrl-C ends a question, Ctrl-D the chat" if at_terminal else "")
        )

    def close(self) -> None:
        """End the worker, close the models."""
        if self._chat is not None:
            self._background.run(self._chat.__aexit__(None, None, None))

    def ask(self, question: str) -> None:
        """Answer and print. Raises KeyboardInterrupt only when it was interrupted twice, or before its run began."""
        from longreach.cli.views import choose_view

        assert self._chat is not None
        self._lost = {}
        try:
            with choose_view(self._given.quiet) as view:
                self._follower = Follower(view, self._forecast())
                outcome = self._follower.outcome(self._chat.ask(question), self._background)
        except LongreachError as error:
            print(f"longreach: {clean(str(error))}", file=sys.stderr)
            self._worst("failed")
            return
        self._print(outcome)
        self._worst(outcome["status"])

    # --- what the run tells, in the event loop's thread

    def record(self, record: Record) -> None:
        """An event of the question that is being answered."""
        from longreach.runs.events import CodeEnded

        if isinstance(record.event, CodeEnded) and record.event.lost:
            self._lost |= record.event.lost
        if self._follower:
            self._follower.record(record)

    def text(self, branch: str, call: str, delta: str) -> None:
        """A piece of a model's reply."""
        if self._follower:
            self._follower.text(branch, call, delta)

    def opened(self, journal: Path) -> None:
        """The question's run has a journal."""
        if self._follower:
            self._follower.opened(journal)

    # --- inside

    def _forecast(self) -> Forecast:
        from longreach.cli.forecasting import forecast_for

        assert self._chat is not None
        return forecast_for(ask_options(self._given), self._chat.context.estimated_tokens)

    def _print(self, outcome: dict[str, Any]) -> None:
        print_outcome(outcome, as_json=self._given.json, quiet=True)
        if self._lost:
            self._say(f"the REPL was restarted; lost: {one_line(', '.join(self._lost), 200)}")
        from longreach.cli.wording import summary_line

        self._say(f"{summary_line(outcome['status'], outcome['usage'])} · longreach show {outcome['run_id']}")

    def _say(self, text: str) -> None:
        if not self._given.quiet:
            error_console().print(clean(text), style="dim", soft_wrap=True)

    def _worst(self, status: str) -> None:
        order = [0, STATUS_CODES["partial"], STATUS_CODES["failed"]]
        self.status = max(self.status, STATUS_CODES[status], key=order.index)


# --- the questions


def _questions(at_terminal: bool) -> Iterator[str]:
    """Each line that is not empty, until there are no more."""
    if at_terminal:
        with suppress(ImportError):
            import readline  # noqa: F401 - editing and history at the prompt
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    while line := (_typed() if at_terminal else sys.stdin.readline()):
        if line.strip():
            yield line.strip()


def _typed() -> str:
    """A line from the prompt; empty at the end of the input. Ctrl-C begins the line anew."""
    while True:
        try:
            if sys.stdout.isatty():
                return input(PROMPT) + "\n"
            print(PROMPT, end="", file=sys.stderr, flush=True)
            return sys.stdin.readline()
        except EOFError:
            print(file=sys.stderr)
            return ""
        except KeyboardInterrupt:
            print(file=sys.stderr)
