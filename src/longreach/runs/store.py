"""Which runs there are on this machine.

Covers: naming and making the folder of a new run, listing runs, finding one. A listing reads only the first lines and the end of each
journal, so it stays cheap however long the runs are. Does not cover: what a journal holds (`runs.journal`), a run as a tree
(`runs.trajectory`).
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from longreach.errors import JournalError
from longreach.locations import data_folder
from longreach.locks import is_locked
from longreach.runs.events import SCHEMA_VERSION, RunEnded, RunResumed, RunStarted
from longreach.runs.journal import JOURNAL_NAME, TEXTS_NAME

__all__ = [
    "ROOT_BRANCH",
    "RunSummary",
    "find_run",
    "is_running",
    "list_runs",
    "new_run_folder",
    "runs_folder",
    "state_without_end",
    "summarise",
]

ROOT_BRANCH = "0"
HEAD_LINES = 8  # of a journal that are searched for the start of its run
TAIL_BYTES = 1 << 16  # the end of a journal that is searched for the end of its run
QUERY_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of `longreach runs`.

    began: seconds since the epoch. query: its beginning, at most `QUERY_CHARS` characters. characters: of the context.
    models: 'root' and 'sub'. status: None for a run without an end: see `running`. usage: as `RunUsage.to_json`, empty without an end.
    running: whether a process works on it; None where that cannot be told (a file system without locks).
    """

    run_id: str
    folder: Path
    began: float
    query: str
    strategy: str
    characters: int
    models: Mapping[str, str]
    status: str | None
    usage: Mapping[str, Any]
    running: bool | None = False

    @property
    def state(self) -> str:
        """Its status; of a run without an end 'running', 'killed', or 'running or killed' where that cannot be told."""
        return self.status or state_without_end(self.running)


def state_without_end(running: bool | None) -> str:
    """'running', 'killed', or 'running or killed' when it is not known."""
    return "running or killed" if running is None else "running" if running else "killed"


def is_running(folder: Path) -> bool | None:
    """Whether a process works on the run in `folder`; None where that cannot be told. Raises `JournalError`."""
    try:
        return is_locked(folder / JOURNAL_NAME)
    except OSError as error:
        raise JournalError(f"cannot read the journal in {folder}: {error.strerror}") from error


def runs_folder() -> Path:
    """Where all runs lie, one folder each."""
    return _runs_in(data_folder())


@lru_cache(8)
def _runs_in(folder: Path) -> Path:
    return folder / "runs"


def new_run_folder() -> Path:
    """An empty folder for a new run; its name is the run's id, and ids sort by time (UTC). Raises `JournalError`."""
    runs = runs_folder()
    while True:
        folder = runs / _new_id(time.time())
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise JournalError(
                f"cannot make the run's folder {folder}: {error.strerror}; set LONGREACH_HOME elsewhere"
            ) from error
        return folder


def list_runs() -> Iterator[RunSummary]:
    """All runs, newest first; a folder whose journal has no readable beginning is left out."""
    for name in reversed(_names()):
        if summary := summarise(runs_folder() / name):
            yield summary


def find_run(run_id: str) -> Path:
    """The folder of a run. Raises `JournalError`.

    run_id: its id, the beginning of one, 'last' for the newest, or a path to its folder or journal.
    """
    if os.sep in run_id:
        return _at_path(Path(run_id).expanduser())
    names = _names()
    if run_id == "last" and names:
        return runs_folder() / names[-1]
    matches = [name for name in names if name == run_id] or [name for name in names if name.startswith(run_id)]
    if len(matches) == 1:
        return runs_folder() / matches[0]
    if matches:
        raise JournalError(f"several runs begin with '{run_id}': {', '.join(matches[:5])}; give more of the id")
    raise JournalError(f"there is no run '{run_id}' in {runs_folder()}; `longreach runs` lists those there are")


def summarise(folder: Path) -> RunSummary | None:
    """The run in `folder`, from the first lines and the end of its journal; None when that has no readable beginning."""
    try:
        with (folder / JOURNAL_NAME).open("rb") as file:
            first = _first_start(islice(file, HEAD_LINES))
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            ended = _last_end(file.read())
        running = False if ended else is_locked(folder / JOURNAL_NAME)
    except OSError:
        return None
    if first is None:
        return None
    return RunSummary(
        run_id=folder.name,
        folder=folder,
        began=first["time"],
        query=_beginning(first["query"], folder),
        strategy=first["strategy"],
        characters=first["context"]["characters"],
        models=first["models"],
        status=ended["status"] if ended else None,
        usage=ended["usage"] if ended else {},
        running=running,
    )


# --- inside


def _new_id(now: float) -> str:
    # three hex digits of the second's fraction keep the runs of one second in order, three random ones keep them apart
    mark = f"{int(now % 1 * 4096):03x}{secrets.token_hex(2)[:3]}"
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{mark}"


def _names() -> list[str]:
    """The ids of all runs that have a journal, oldest first."""
    try:
        found = [each.name for each in os.scandir(runs_folder()) if each.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"cannot read {runs_folder()}: {error.strerror}") from error
    return sorted(name for name in found if (runs_folder() / name / JOURNAL_NAME).is_file())


def _at_path(path: Path) -> Path:
    folder = path.parent if path.name == JOURNAL_NAME else path
    if not (folder / JOURNAL_NAME).is_file():
        raise JournalError(
            f"there is no {JOURNAL_NAME} in {folder}: give a run's folder, or an id from `longreach runs`"
        )
    return folder


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _first_start(lines: Iterable[bytes]) -> dict[str, Any] | None:
    for line in lines:
        values = _parsed(line)
        if values is None or values.get("schema", SCHEMA_VERSION) > SCHEMA_VERSION:
            return None
        if values.get("event") == RunStarted.kind:
            return values
    return None


def _last_end(tail: bytes) -> dict[str, Any] | None:
    """The root run's end, unless the run was resumed after it."""
    for line in reversed(tail.splitlines(keepends=True)):
        values = _parsed(line)
        if values and values.get("branch") == ROOT_BRANCH:
            if values.get("event") == RunEnded.kind:
                return values
            if values.get("event") == RunResumed.kind:
                return None
    return None


def _beginning(value: str | Mapping[str, str], folder: Path) -> str:
    """The beginning of a text that is in the line itself or stored beside it."""
    if isinstance(value, str):
        return value[:QUERY_CHARS]
    try:
        with (folder / TEXTS_NAME / value["$text"]).open("rb") as file:
            return file.read(4 * QUERY_CHARS).decode("utf-8", "replace")[:QUERY_CHARS]
    except OSError:
        return "(its text is missing)"
