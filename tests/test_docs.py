"""Every example in README.md and docs/ does what the page says, offline.

Covers: fenced blocks of `python` and `console`. They run in order, each page in a folder of its own that holds a copy of examples/, with
the endpoint `openai` served on this machine from examples/replies.json. A python block is a program of its own. In a console block the
lines after `$ ` are commands, those after `! ` exit statuses that are not 0, all others output: each must be among the real output's, in
this order, whatever the numbers, moments and paths in it. A block that cannot run has `<!-- not run: REASON -->` in the line above.
Does not cover: other languages; a block of shell must be `console`, so that it is not left out by mistake.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from longreach.cli import _parser
from longreach.models.endpoints import load_endpoints
from longreach.models.script import load_script
from longreach.models.scripted_server import ScriptedServer
from longreach.options import Options
from longreach.runs import Budget, Settings
from longreach.runs.events import SCHEMA_VERSION, Event
from longreach.runs.journal import INLINE_CHARS, SMALL_BYTES

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("python", "console")
REFUSED = ("bash", "sh", "shell", "zsh", "pycon", "py")

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```[ \t]*$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: \S[^\n]* -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language and text, and whether the page says that it is not run."""

    page: Path
    line: int
    language: str
    text: str
    not_run: bool

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        indent, language, inside = fence.groups()
        lines = [line.removeprefix(indent) for line in inside.splitlines()]
        not_run = _NOT_RUN.search(text[: fence.start()]) is not None
        number = text.count("\n", 0, fence.start()) + 1
        found.append(Block(page, number, language, "\n".join(lines) + "\n", not_run))
    return found


@pytest.fixture(scope="session")
def replies() -> Iterator[str]:
    """The base URL of a server that answers as examples/replies.json says."""
    loop = asyncio.new_event_loop()
    server = ScriptedServer(load_script(EXAMPLES / "replies.json"))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(30)
    yield server.base_url
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@dataclass
class Place:
    """Where the examples of a page run."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=100,
        )


@pytest.fixture
def place(tmp_path: Path, replies: str) -> Place:
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    home = tmp_path / "home"
    home.mkdir()
    (home / "endpoints.toml").write_text(f'[openai]\nbase_url = "{replies}"\n')
    keys = {key for endpoint in load_endpoints().values() for key in endpoint.keys}
    environment = {name: value for name, value in os.environ.items() if name not in keys}
    environment |= {
        "LONGREACH_HOME": str(home),
        "LONGREACH_CACHE": str(tmp_path / "cache"),
        "OPENAI_API_KEY": "not-a-key",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "160",  # so that no path of this machine breaks a line,
    }
    return Place(folder, environment)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, request: pytest.FixtureRequest) -> None:
    blocks = [block for block in blocks_of(page) if block.language in RUN and not block.not_run]
    if not blocks:
        return
    place: Place = request.getfixturevalue("place")
    for block in blocks:
        if block.language == "python":
            done = place.run(sys.executable, "-c", block.text)
            assert done.returncode == 0, f"{block.place}\n{done.stdout}"
        else:
            run_console(block, place)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_shell_in_disguise(page: Path) -> None:
    wrong = [block.place for block in blocks_of(page) if block.language in REFUSED]
    assert not wrong, "use ```python or ```console, which are run"


# --- console blocks


def run_console(block: Block, place: Place) -> None:
    for command, status, expected in commands_of(block):
        done = place.run("sh", "-c", command)
        assert done.returncode == status, f"{block.place}: {command}\nexit status {done.returncode}\n{done.stdout}"
        missing = first_missing(expected, done.stdout)
        assert missing is None, (
            f"{block.place}: {command}\nnot in the output, or not in this order: {missing}\n{done.stdout}"
        )


def commands_of(block: Block) -> Iterator[tuple[str, int, list[str]]]:
    """Each command with its exit status and the output that the page shows."""
    command, status, output = "", 0, list[str]()
    for line in [*block.text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command:
                yield command, status, output
            command, status, output = line[2:], 0, []
        elif command.endswith("\\"):
            command = f"{command[:-1]}{line.strip()}"
        elif line.startswith("! "):
            status = int(line[2:])
        else:
            assert command, f"{block.place}: a console block begins with '$ '"
            output.append(line)


def first_missing(expected: list[str], actual: str) -> str | None:
    """The first shown line that the real output does not have after those before it."""
    lines = iter([normal(line) for line in actual.splitlines()])
    for line in expected:
        wanted = normal(line)
        if wanted and wanted != "..." and wanted not in lines:
            return line
    return None


def normal(line: str) -> str:
    """A line without what differs from one run to the next."""
    for pattern, word in (
        (r"\d{8}-\d{6}-[0-9a-f]{6}", "ID"),
        (r"(?<![\w.:/])(/[\w.@+-]+)+/?", "PATH"),
        (r"\b(\d+h \d\dm|\d+m \d\ds|[\d.]+ m?s)\b", "TIME"),
        (r"\b(today|yesterday) \d\d:\d\d|\b\d{4}-\d\d-\d\d \d\d:\d\d", "WHEN"),
        (r"\d[\d,.]*[kM]?\b", "N"),
        (r"\s+", " "),
    ):
        line = re.sub(pattern, word, line)
    return line.strip()


# --- pages that list what the code has


def test_the_journal_page_names_every_event_and_field() -> None:
    page = (ROOT / "docs" / "journal.md").read_text("utf-8")
    assert f"schema version {SCHEMA_VERSION}." in page
    assert f"first {SMALL_BYTES:,} bytes, a text of more than {INLINE_CHARS:,} characters" in page
    rows = {row.split("|")[1].strip(" `"): row for row in page.splitlines() if row.startswith("| `")}
    for kind, event in {each.kind: each for each in Event.__subclasses__()}.items():
        row = rows.pop(kind)
        missing = [each.name for each in fields(event) if each.name != "branch" and f"`{each.name}`" not in row]
        assert not missing, f"{event.kind} lacks {missing}"
    assert set(rows) == {"schema", "seq", "time", "event", "branch"}


def test_the_python_page_names_every_option() -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    for each in (*fields(Options), *fields(Budget), *fields(Settings)):
        assert f"`{each.name}`" in page, each.name


def test_every_option_of_the_command_stands_in_a_page() -> None:
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"--[a-z][a-z-]*[a-z]", pages))
    assert sorted(_options_of(_parser()) - named - {"--help"}) == []


def _options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a command and of those below it."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(each for each in action.option_strings if each.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            found.update(*map(_options_of, action.choices.values()))
    return found
