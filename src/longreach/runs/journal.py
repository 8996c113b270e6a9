"""What happened in a run, in order, on disk.

Covers: appending events as JSON lines, large texts stored once by their hash, reading both back. No line is written by two calls of
`write`, so a killed process leaves at most one torn last line, which reading tolerates. A line is in the kernel's hands before `append`
returns: it survives the death of the process, though not a power cut in the next moment. Does not cover: which events there are
(`runs.events`), the JSON of a line (`runs.lines`), which runs exist (`runs.store`).

A line is {"seq": n, "time": seconds since the epoch, "event": kind, ...fields}; the first also has {"schema": 2}. Behind the journal's
first `SMALL_BYTES` a text longer than `INLINE_CHARS`, at any depth, is stored as {"$text": sha256, "chars": n} with the text in the file
`texts/<sha256>` beside the journal. Messages that a call has in common with the one before are referred to (`runs.lines`).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longreach.errors import JournalError
from longreach.locks import LOCKLESS, try_lock
from longreach.runs.events import SCHEMA_VERSION, Event, event_from_json
from longreach.runs.lines import INLINE_CHARS, SMALL_BYTES, Conversations, Lines

if TYPE_CHECKING:
    from longreach.runs.replay import Recording

__all__ = ["INLINE_CHARS", "SMALL_BYTES", "Journal", "Record", "read_journal"]

JOURNAL_NAME = "journal.jsonl"
TEXTS_NAME = "texts"
PIECE_CHARS = 1 << 16
LARGE_CHARS = 1 << 22
LOCK_TRIES, LOCK_SECONDS = 5, 0.01  # who only asks whether the run goes on holds the lock for a moment


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal. `time` in seconds since the epoch; `seq` counts from 0."""

    seq: int
    time: float
    event: Event


class Journal:
    """The journal of one run and its child runs, open for appending, and locked as long: so others can tell that the run goes on.

    path: its file. listeners: called with every record, once it is written.
    recording: of a resumed run, what is there already; such events are not written again.
    """

    def __init__(self, folder: Path, recording: Recording | None = None) -> None:
        self.folder = folder
        self.recording = recording
        self.listeners: list[Callable[[Record], None]] = []
        self.path = folder / JOURNAL_NAME
        self._file = -1
        try:
            self._file = self._open()
            self._lock()
            size = os.fstat(self._file).st_size
            self._seq = _mend(self.path) if size else 0
            self._lines = Lines(_Texts(folder).store, SMALL_BYTES - size)
        except OSError as error:
            self.close()
            raise JournalError(
                f"cannot write the journal in {folder}: {error.strerror}; set LONGREACH_HOME elsewhere"
            ) from error

    def append(self, event: Event) -> Record:
        """Write one event. When this returns, it outlives the process. Raises `JournalError` (disk full, folder gone)."""
        record = self.recording.take_event(event) if self.recording else None
        return self._told(record or self._write_events(event)[0])

    def append_both(self, first: Event, second: Event) -> None:
        """The same for two events of one moment, with one write."""
        if self.recording:
            self.append(first)
            self.append(second)
            return
        for record in self._write_events(first, second):
            self._told(record)

    def append_new(self, event: Event) -> Record:
        """The same for an event that happens in this process, and is written even if it happened in an earlier one too."""
        if self.recording:
            self.recording.take_event(event)
        return self._told(self._write_events(event)[0])

    def _told(self, record: Record) -> Record:
        for listener in self.listeners:
            listener(record)
        return record

    def _write_events(self, *events: Event) -> list[Record]:
        now = round(time.time(), 6)
        records = [Record(seq, now, event) for seq, event in enumerate(events, self._seq)]
        try:
            self._write(b"".join([self._lines.line(each.seq, now, each.event) for each in records]))
        except OSError as error:
            raise JournalError(
                f"cannot write the journal {self.path}: {error.strerror}; free some space and resume the run"
            ) from error
        self._seq += len(records)
        return records

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            return os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.folder.mkdir(parents=True)
            return os.open(self.path, flags, 0o600)

    def _lock(self) -> None:
        try:
            for _ in range(LOCK_TRIES):
                if try_lock(self._file):
                    return
                time.sleep(LOCK_SECONDS)
        except OSError as error:
            if error.errno not in LOCKLESS:
                raise
            return  # a file system without locks: the run goes on, but nobody can tell
        self.close()
        raise JournalError(f"the run {self.folder.name} still goes on in another process: wait for it, or end that")

    def _write(self, line: bytes) -> None:
        if self._file < 0:
            raise JournalError(f"the journal {self.path} is closed")
        if (written := os.write(self._file, line)) != len(line):
            # a disk that has just filled up takes half a line: take it back, so that the file stays readable
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(28, "No space left on device")


class _Texts:
    """The long texts of one journal, in files beside it."""

    def __init__(self, journal_folder: Path) -> None:
        self._journal_folder = journal_folder
        self._names: set[str] = set()

    @cached_property
    def _folder(self) -> Path:
        return self._journal_folder / TEXTS_NAME  # late: most journals have no long texts

    def store(self, text: str) -> dict[str, Any]:
        """Store it, unless it is there; what stands for it in a line. Raises OSError."""
        digest = hashlib.sha256()
        if len(text) >= LARGE_CHARS:
            # a context, which hardly comes twice: a piece at a time, so that no copy is made, and once for its hash and its file together
            self._write(_hashed_pieces(text, digest), digest)
        else:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(data)
            if not self._has(digest.hexdigest()):
                self._write((data,), digest)
        return {"$text": digest.hexdigest(), "chars": len(text)}

    def _has(self, name: str) -> bool:
        return name in self._names or (self._folder / name).exists()

    def _write(self, pieces: Iterable[bytes], digest: hashlib._Hash) -> None:
        """Write a file that is named by `digest` as it is once the last piece is taken."""
        self._folder.mkdir(exist_ok=True)
        part = self._folder / f".{os.getpid()}"  # this process alone writes the journal, one text after the other
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(pieces)
            os.replace(part, self._folder / digest.hexdigest())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._names.add(digest.hexdigest())


def _hashed_pieces(text: str, digest: hashlib._Hash) -> Iterator[bytes]:
    """The text in UTF-8, in pieces that fit into a processor's cache, each taken into the digest."""
    for start in range(0, len(text), PIECE_CHARS):
        piece = text[start : start + PIECE_CHARS].encode("utf-8", "surrogatepass")
        digest.update(piece)
        yield piece


def read_journal(folder: Path) -> Iterator[Record]:
    """The records of the journal in `folder`, oldest first; a torn last line is left out.

    Raises `JournalError` when there is no journal, a line in its midst is damaged, a stored text is missing, or the schema is newer.
    """
    path = folder / JOURNAL_NAME
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    conversations = Conversations()
    for number, line in enumerate(lines[:-1], 1):
        try:
            values = json.loads(line)
        except ValueError as error:
            raise JournalError(f"line {number} of {path} is damaged: {error}") from error
        if values.get("schema", SCHEMA_VERSION) > SCHEMA_VERSION:
            raise JournalError(
                f"{path} has schema version {values['schema']}, this Longreach reads up to {SCHEMA_VERSION}: upgrade it"
            )
        values = conversations.restore(_lengthen(values, folder / TEXTS_NAME))
        yield Record(values["seq"], values["time"], event_from_json(values))


def _lengthen(value: Any, texts: Path) -> Any:
    if isinstance(value, dict):
        if "$text" in value:
            try:
                return (texts / value["$text"]).read_bytes().decode("utf-8", "surrogatepass")
            except OSError as error:
                raise JournalError(
                    f"the text {value['$text']} that the journal names is missing from {texts}"
                ) from error
        return {key: _lengthen(each, texts) for key, each in value.items()}
    if isinstance(value, list):
        return [_lengthen(each, texts) for each in value]
    return value


def _mend(path: Path) -> int:
    """Cut a torn last line off an existing journal; the number of whole lines."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        os.truncate(path, whole)
    return data.count(b"\n")
