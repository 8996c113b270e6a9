"""The journal survives what happens to processes and disks."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longreach.errors import JournalError
from longreach.runs import journal as journal_module
from longreach.runs.events import CallStarted, CodeEnded, Event, RunEnded, StepStarted, event_from_json
from longreach.runs.journal import INLINE_CHARS, SMALL_BYTES, Journal, read_journal
from longreach.runs.store import TAIL_BYTES

texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="aé\U0001f600\ud800\n", min_size=INLINE_CHARS, max_size=INLINE_CHARS + 50),
)
events = st.one_of(
    st.builds(StepStarted, branch=st.just("0"), step=st.integers(1, 99)),
    st.builds(
        CallStarted,
        branch=st.just("0.1"),
        call=st.text(max_size=9),
        purpose=st.just("sub"),
        model=st.text(max_size=9),
        key=st.just("k"),
        messages=st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": texts}), max_size=5),
        parameters=st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
        reserved=st.just({"tokens": 3}),
    ),
    st.builds(
        CodeEnded,
        branch=st.just("0"),
        step=st.integers(1, 9),
        status=st.just("ok"),
        output=texts,
        dropped_chars=st.just(0),
        error=st.none(),
        variables=st.just([]),
        final=st.one_of(st.none(), texts),
        seconds=st.just(0.5),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=8), st.sampled_from([0, 5_000, SMALL_BYTES]))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, written: list[Event], small: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    with mock.patch.object(journal_module, "SMALL_BYTES", small):
        journal = Journal(folder)
    for event in written:
        journal.append(event)
    journal.close()
    records = list(read_journal(folder))
    assert [record.event for record in records] == written
    assert [record.seq for record in records] == list(range(len(written)))


def test_a_short_journal_has_its_texts_in_its_lines_and_a_long_one_stores_each_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    text = "x" * (SMALL_BYTES // 5)
    whole = [journal.append(RunEnded("0", "complete", text, "", None)) for _ in range(4)]
    assert not (tmp_path / "texts").exists()
    assert (
        journal.path.stat().st_size <= SMALL_BYTES <= TAIL_BYTES
    )  # so that the end of a run is found in its last bytes
    journal.close()
    journal = Journal(tmp_path)  # what is there counts for a process that goes on too
    stored = [journal.append(RunEnded("0", "complete", text, "", None)) for _ in range(3)]
    assert len(list((tmp_path / "texts").iterdir())) == 1
    assert all(len(line) < INLINE_CHARS for line in journal.path.read_text().splitlines()[len(whole) :])
    assert [record.event for record in read_journal(tmp_path)] == [record.event for record in whole + stored]


def test_a_text_is_its_owner_s_alone(tmp_path: Path) -> None:
    Journal(tmp_path).append(RunEnded("0", "complete", "y" * SMALL_BYTES, "", None))
    assert [path.stat().st_mode & 0o077 for path in tmp_path.rglob("*") if path.is_file()] == [0, 0]


def test_a_journal_goes_with_its_last_user_and_not_with_the_collector(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(StepStarted("0", 1))
    journal.close()
    gone = weakref.ref(journal)
    del journal
    assert gone() is None


def test_the_first_line_names_the_schema(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(StepStarted("0", 1))
    journal.append(StepStarted("0", 2))
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert lines[0]["schema"] == 2
    assert "schema" not in lines[1]


def test_a_torn_last_line_is_tolerated_and_cut_off_when_writing_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(StepStarted("0", 1))
    journal.append(StepStarted("0", 2))
    journal.close()
    os.truncate(journal.path, journal.path.stat().st_size - 5)
    assert [record.event for record in read_journal(tmp_path)] == [StepStarted("0", 1)]
    again = Journal(tmp_path)
    assert again.append(StepStarted("0", 3)).seq == 1
    assert [record.event for record in read_journal(tmp_path)] == [StepStarted("0", 1), StepStarted("0", 3)]


def test_damage_in_the_midst_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(
        '{"seq":0,"time":1,"event":"step.started","branch":"0","step":1}\n{garbage\n'
    )
    with pytest.raises(JournalError, match="line 2"):
        list(read_journal(tmp_path))


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"schema":99,"seq":0,"time":1,"event":"x"}\n')
    with pytest.raises(JournalError, match="upgrade"):
        list(read_journal(tmp_path))


def test_a_missing_stored_text_is_an_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(RunEnded("0", "complete", "y" * SMALL_BYTES, "", None))
    next((tmp_path / "texts").iterdir()).unlink()
    with pytest.raises(JournalError, match="missing"):
        list(read_journal(tmp_path))


def test_fields_of_a_later_minor_version_are_left_out() -> None:
    assert event_from_json({"event": "step.started", "branch": "0", "step": 1, "colour": "red"}) == StepStarted("0", 1)


def test_no_journal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot read"):
        list(read_journal(tmp_path / "none"))


def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: the kernel cuts the write in the same way."""
    code = f"""
import resource, signal, pathlib
from longreach.errors import JournalError
from longreach.runs.journal import Journal
from longreach.runs.events import RunEnded
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(pathlib.Path({str(tmp_path)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    for i in range(100):
        journal.append(RunEnded('0', 'complete', 'z' * 500, '', None))
except JournalError as error:
    print(error)
"""
    assert resource.RLIM_INFINITY  # the module is what the child needs too
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "free some space" in out
    assert 1 <= len(list(read_journal(tmp_path))) < 10


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    code = f"""
import pathlib
from longreach.runs.journal import Journal
from longreach.runs.events import RunEnded
journal = Journal(pathlib.Path({str(tmp_path)!r}))
i = 0
while True:
    journal.append(RunEnded('0', 'complete', 'z' * (i % 3000), '', None)); i += 1
"""
    writer = subprocess.Popen([sys.executable, "-c", code])
    journal = tmp_path / "journal.jsonl"
    while not journal.exists() or journal.stat().st_size < 20_000:
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    records = list(read_journal(tmp_path))
    assert len(records) > 10
    assert [record.seq for record in records] == list(range(len(records)))


def test_one_process_writes_a_journal_at_a_time(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.append(StepStarted("0", 1))
    with pytest.raises(JournalError, match="still goes on in another process: wait for it, or end that"):
        Journal(tmp_path)
    first.append(StepStarted("0", 2))
    first.close()
    second = Journal(tmp_path)
    second.append(StepStarted("0", 3))
    second.close()
    assert [each.seq for each in read_journal(tmp_path)] == [0, 1, 2]


def test_a_file_system_without_locks_has_journals_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> bool:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("longreach.runs.journal.try_lock", refuse)
    journal = Journal(tmp_path)
    journal.append(StepStarted("0", 1))
    journal.close()
    assert len(list(read_journal(tmp_path))) == 1
