"""The long texts of a run, which lie beside its journal.

Covers: the beginnings of some, searching all of them. Does not cover: the texts in the journal's lines, which the page has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from longreach.errors import UsageError
from longreach.runs.journal import TEXTS_NAME

__all__ = ["HEAD_CHARS", "MOST_HEADS", "MOST_QUERY", "find", "heads", "is_hash", "text_path"]

HEAD_CHARS = 400  # enough for a row, and for the first comment of most code
MOST_HEADS = 100
MOST_QUERY = 1_000
PIECE_CHARS = 1 << 22
_HASH = re.compile(r"[0-9a-f]{64}")


def is_hash(name: str) -> bool:
    """Whether a text can have this name."""
    return _HASH.fullmatch(name) is not None


def text_path(folder: Path, sha256: str) -> Path | None:
    """The file of a text of the run in `folder`; None when there is no such text."""
    path = folder / TEXTS_NAME / sha256
    return path if is_hash(sha256) and path.is_file() else None


def heads(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The beginnings of these texts, by their hashes; those that are not there are left out. Raises `UsageError` for too many."""
    wanted = list(names)
    if len(wanted) > MOST_HEADS:
        raise UsageError(f"at most {MOST_HEADS} texts at once, not {len(wanted)}")
    found: dict[str, str] = {}
    for name in wanted:
        if path := text_path(folder, name):
            with path.open("rb") as file:
                found[name] = file.read(4 * HEAD_CHARS).decode("utf-8", "replace")[:HEAD_CHARS]
    return found


def find(folder: Path, query: str) -> dict[str, int]:
    """How often `query` is in each text, whatever the case; those without it are left out. Raises `UsageError` for a query too long."""
    if len(query) > MOST_QUERY:
        raise UsageError(f"a search may have {MOST_QUERY:,} characters, not {len(query):,}")
    wanted = query.lower()
    if not wanted:
        return {}
    found = {}
    texts = folder / TEXTS_NAME
    for path in sorted(texts.iterdir()) if texts.is_dir() else ():  # a short journal has all of them in its lines
        if is_hash(path.name) and (times := _times(path, wanted)):
            found[path.name] = times
    return found


def _times(path: Path, wanted: str) -> int:
    times, before = 0, ""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        while piece := file.read(PIECE_CHARS):
            piece = before + piece.lower()
            times += piece.count(wanted)
            before = piece[max(0, len(piece) - len(wanted) + 1) :]
    return times
