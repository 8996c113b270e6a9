"""What several processes share, and what becomes of processes that do not stay up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longreach.errors import LongreachError, UsageError
from longreach.serve import supervisor
from longreach.serve.failures import ApiError
from longreach.serve.instance_lock import lock_instance
from longreach.serve.settings import DiskLimits, ServeSettings
from longreach.serve.shared_rates import SharedRates, new_table
from tests.serve.conftest import Serve

# says that it is ready, and dies
SHORT_LIVED = (
    "import pickle, socket, sys; socket.socket(fileno=pickle.load(sys.stdin.buffer).channel).send(b'r'); sys.exit(7)"
)
# takes until it is refused, and prints how often it was let in; the clock stands still
TAKES = """
import sys
from longreach.serve.failures import ApiError
from longreach.serve.shared_rates import SharedRates
rates, taken = SharedRates(int(sys.argv[1]), lambda: 100.0), 0
sys.stdin.read()
try:
    while True:
        rates.take("key-1", 2_000)
        taken += 1
except ApiError:
    print(taken)
"""


@given(st.integers(1, 9), st.integers(0, 50), st.integers(0, 300), st.integers(1, 1 << 40))
def test_what_holds_for_all_is_divided_without_a_remainder(processes: int, more: int, queue: int, bodies: int) -> None:
    settings = ServeSettings(processes=processes, runs=processes + more, queue=queue, bodies=bodies)
    shares = [settings.share(number) for number in range(1, processes + 1)]
    for name in ("runs", "queue", "bodies"):
        parts = [getattr(each, name) for each in shares]
        assert sum(parts) == getattr(settings, name)
        assert max(parts) - min(parts) <= 1
        assert parts == sorted(parts, reverse=True)
    assert len({each.member for each in shares} | {settings.member}) == processes + 1


def test_each_process_puts_right_what_it_or_one_that_is_no_more_left() -> None:
    alone = ServeSettings(instance="a")
    two = ServeSettings(instance="a", processes=2)
    members = ["a", "a#1", "a#2", "a#3", "b", "b#1", "aa", "aa#1"]
    assert [each for each in members if alone.inherits(each)] == ["a", "a#1", "a#2", "a#3"]
    assert [each for each in members if two.share(1).inherits(each)] == ["a", "a#1", "a#3"]
    assert [each for each in members if two.share(2).inherits(each)] == ["a#2"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"processes": 3, "runs": 2}, "raise --runs"),
        ({"processes": 0}, "processes cannot share"),
        ({"instance": "a#1"}, "instance's name"),
        ({"instance": "../a"}, "instance's name"),
        ({"instance": ""}, "instance's name"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, int | str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ServeSettings(**values)  # type: ignore[arg-type]


def test_a_bucket_is_shared_by_processes_to_the_last_request(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    command = [sys.executable, "-c", TAKES, str(table)]
    takers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=(table,))
        for _ in range(2)
    ]
    taken = [int(each.communicate()[0]) for each in takers]
    assert sum(taken) == 2_000
    now = [100.0]
    rates = SharedRates(table, lambda: now[0])
    with pytest.raises(ApiError) as caught:
        rates.take("key-1", 2_000)
    assert caught.value.retry_after == pytest.approx(60 / 2_000)
    now[0] += 1.5 * 60 / 2_000
    rates.take("key-1", 2_000)
    rates.take("key-2", 1)
    os.close(table)
    assert list(tmp_path.iterdir()) == []


def test_keys_that_meet_in_the_table_take_the_place_of_the_one_that_asked_longest_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longreach.serve.shared_rates.SLOTS", 4)
    monkeypatch.setattr("longreach.serve.shared_rates.PROBED", 4)
    table = new_table(tmp_path)
    now = [0.0]
    rates = SharedRates(table, lambda: now[0])
    for number in range(5):
        now[0] = number / 1000
        rates.take(f"key-{number}", 1)
    for number in (1, 2, 3, 4):
        with pytest.raises(ApiError):
            rates.take(f"key-{number}", 1)
    rates.take("key-0", 1)
    os.close(table)


async def test_what_other_processes_are_taking_counts_and_what_dead_ones_took_goes(
    serve: Serve, longreach_home: Path
) -> None:
    incoming = longreach_home / "serve" / "contexts" / ".incoming"
    for name in ("server", "server#7", "another"):
        (incoming / name).mkdir(parents=True)
        (incoming / name / "part").write_bytes(b"x" * 400)
    async with serve(disk=DiskLimits(contexts=1_000, free=0)) as running:
        assert sorted(each.name for each in incoming.iterdir()) == ["another", "server"]
        assert list((incoming / "server").iterdir()) == []
        client = running.http()
        assert (await client.post("/v1/contexts", content=b"y" * 500)).status_code == 201
        refused = await client.post("/v1/contexts", content=b"z" * 200)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "no_room")
        (incoming / "another" / "part").unlink()
        assert (await client.post("/v1/contexts", content=b"z" * 200)).status_code == 201


def test_an_address_or_a_name_that_is_taken_is_told_before_anything_starts(longreach_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(UsageError, match=r"cannot serve on 127\.0\.0\.1"):
            supervisor.run(ServeSettings(processes=2, port=other.getsockname()[1]))
    with pytest.raises(UsageError, match="longreach keys add"):
        supervisor.run(ServeSettings(processes=2, host="0.0.0.0"))
    lock = lock_instance(ServeSettings())
    with pytest.raises(UsageError, match="runs here already"):
        supervisor.run(ServeSettings(processes=2, port=0))
    os.close(lock)


def test_the_name_of_a_server_that_was_killed_is_free_once_its_processes_have_ended(longreach_home: Path) -> None:
    lock = lock_instance(ServeSettings())
    dead = subprocess.Popen([sys.executable, "-S", "-c", ""])
    dead.wait()
    os.pwrite(lock, b"%-20d" % dead.pid, 0)
    orphan = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(0.5)"], pass_fds=(lock,))
    os.close(lock)
    lock = lock_instance(ServeSettings())
    assert orphan.poll() is not None or orphan.wait() == 0
    os.close(lock)


def test_a_server_whose_processes_do_not_start_says_so(longreach_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nowhere = "postgresql://longreach@127.0.0.1:1/none"
    with pytest.raises(LongreachError, match=r"process [12] of the server did not start"):
        supervisor.run(ServeSettings(processes=2, port=0, models=("mine/*",), database=nowhere))
    assert "the database failed" in capfd.readouterr().err


def test_a_process_that_dies_again_and_again_ends_the_server(
    longreach_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", SHORT_LIVED))
    monkeypatch.setattr(supervisor, "MOST_FAILURES", 1)
    monkeypatch.setattr(supervisor, "AGAIN_SECONDS", 0)
    with pytest.raises(LongreachError, match=r"ended 2 times .* \(exit status 7\)"):
        supervisor.run(ServeSettings(processes=2, port=0))
    assert {path.name for path in (longreach_home / "serve").iterdir()} == {"server.lock"}
