"""Keys, admission and spending, against SQLite and against a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from longreach.errors import UsageError
from longreach.serve.failures import ApiError, StateError
from longreach.serve.keys import hash_key, make_key
from longreach.serve.state import ContextRow, Key, KeyLimits, NewRun, Spending, State, open_state
from longreach.serve.state.database import Change, SQLiteDatabase, Transaction
from tests.serve.postgres import postgres_server


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    # a short path, since it holds a socket; and one that another user may enter
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    os.chmod(folder, 0o700)
    with postgres_server(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "folder" / "state.sqlite")
    url: str = request.getfixturevalue("postgres")
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS keys, runs, contexts")
    return url


@pytest.fixture
async def state(place: str) -> AsyncIterator[State]:
    opened = await open_state(place)
    yield opened
    await opened.close()


async def keep(state: State, **limits: object) -> tuple[str, Key]:
    secret, key = make_key("somebody", KeyLimits(**limits))  # type: ignore[arg-type]
    await state.add_key(key, hash_key(secret))
    return secret, key


def new_run(number: int, key: Key, usd: str | None = None, tokens: int | None = None, **fields: Spending) -> NewRun:
    return NewRun(f"run-{number:04}", key.id, "rlm:m", "what\0?", usd and Decimal(usd), tokens, **fields)  # type: ignore[arg-type]


async def test_a_key_is_known_by_its_hash_until_it_is_revoked(state: State) -> None:
    assert not await state.has_keys()
    secret, key = await keep(state, usd_per_day=Decimal("1.50"), runs=3)
    assert await state.key_by_hash(hash_key(secret)) == key
    assert await state.key_by_hash(hash_key(secret + "x")) is None
    assert await state.keys() == [key]
    assert await state.revoke_key(key.id)
    assert not await state.revoke_key(key.id)
    assert await state.key_by_hash(hash_key(secret)) is None
    assert await state.has_keys()
    with pytest.raises(ApiError, match="revoked"):
        await state.admit(new_run(1, key), key.limits)


async def test_the_secret_is_nowhere_in_the_database(tmp_path: Path) -> None:
    state = await open_state(tmp_path / "state.sqlite")
    secret, _ = await keep(state)
    await state.close()
    stored = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("state.sqlite*")))  # noqa: ASYNC240
    assert hash_key(secret).encode() in stored
    assert secret.encode() not in stored
    assert secret[12:].encode() not in stored
    assert (tmp_path / "state.sqlite").stat().st_mode & 0o077 == 0


async def test_runs_of_one_moment_never_get_more_than_the_key_has(state: State) -> None:
    _, key = await keep(state, usd_per_day=Decimal(1), usd_per_run=Decimal("0.3"))
    grants = await asyncio.gather(
        *(state.admit(new_run(n, key), key.limits) for n in range(20)), return_exceptions=True
    )
    granted = [each.usd or Decimal(0) for each in grants if not isinstance(each, BaseException)]
    refused = [each for each in grants if isinstance(each, BaseException)]
    assert sorted(granted) == [Decimal("0.1"), *[Decimal("0.3")] * 3]
    assert all(isinstance(each, ApiError) and each.code == "insufficient_quota" for each in refused)
    assert (await state.spending(key.id))[0].usd == 1


async def test_what_a_run_did_not_spend_is_free_again(state: State) -> None:
    _, key = await keep(state, usd=Decimal(1), tokens_per_day=1000)
    grant = await state.admit(new_run(1, key), key.limits)
    assert (grant.usd, grant.tokens) == (Decimal(1), 1000)
    with pytest.raises(ApiError, match="spent or reserved"):
        await state.admit(new_run(2, key), key.limits)
    await state.end_run("run-0001", "complete", "", Spending(Decimal("0.25"), 600))
    grant = await state.admit(new_run(2, key, usd="5", tokens=100), key.limits)
    assert (grant.usd, grant.tokens) == (Decimal("0.75"), 100)


async def test_a_run_that_names_no_budget_gets_its_share_of_what_is_left(state: State) -> None:
    _, key = await keep(state, usd_per_day=Decimal(1), runs=4)
    first = await state.admit(new_run(1, key), key.limits)
    second = await state.admit(new_run(2, key), key.limits)
    assert (first.usd, second.usd) == (Decimal("0.25"), Decimal("0.25"))


async def test_runs_at_once_are_limited(state: State) -> None:
    _, key = await keep(state, runs=2)
    for number in range(2):
        await state.admit(new_run(number, key), key.limits)
    with pytest.raises(ApiError) as caught:
        await state.admit(new_run(2, key), key.limits)
    assert caught.value.status == 429
    assert caught.value.retry_after
    await state.end_run("run-0000", "failed", "why", Spending())
    await state.admit(new_run(2, key), key.limits)


async def test_a_resumed_run_counts_what_it_spent_before_once(state: State) -> None:
    _, key = await keep(state, usd=Decimal(1))
    await state.admit(new_run(1, key, usd="0.5"), key.limits)
    await state.end_run("run-0001", "interrupted", "", Spending(Decimal("0.2"), 10))
    grant = await state.admit(new_run(1, key, usd="0.9", spent=Spending(Decimal("0.2"), 10)), key.limits)
    assert grant.usd == Decimal("0.9")
    assert (await state.spending(key.id))[1].usd == Decimal("0.9")
    await state.end_run("run-0001", "complete", "", Spending(Decimal("0.35"), 20))
    assert (await state.spending(key.id))[1] == Spending(Decimal("0.35"), 20)


async def test_a_run_is_its_owner_s(state: State) -> None:
    (_, one), (_, other) = await keep(state), await keep(state)
    for number in range(5):
        await state.admit(new_run(number, one), one.limits)
    assert await state.run("run-0001", other.id) is None
    row = await state.run("run-0001", one.id)
    assert row is not None
    assert (row.status, row.query) == ("active", "what?")
    assert [each.id for each in await state.runs(one.id, 2)] == ["run-0004", "run-0003"]
    assert [each.id for each in await state.runs(one.id, 2, "run-0003")] == ["run-0002", "run-0001"]
    assert await state.runs(other.id, 10) == []
    assert len(await state.unended_runs()) == 5


async def test_a_run_that_goes_on_is_not_entered_again(state: State) -> None:
    _, key = await keep(state)
    await state.admit(new_run(1, key), key.limits)
    twice = await asyncio.gather(*(state.admit(new_run(1, key), key.limits) for _ in range(3)), return_exceptions=True)
    assert [each.code for each in twice if isinstance(each, ApiError)] == ["still_running"] * 3
    await state.end_run("run-0001", "interrupted", "", Spending())
    again = await asyncio.gather(*(state.admit(new_run(1, key), key.limits) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(each, ApiError) for each in again) == 2


async def test_an_upload_s_file_and_row_come_and_go_together(state: State) -> None:
    row = ContextRow("ctx-1", "one", "a.txt", "0" * 64, 5, 1.0, 1.0)
    done: list[str] = []

    def fails() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        await state.add_context(row, fails)
    assert await state.contexts() == []
    await state.forget_context("ctx-1", fails)  # there is nothing to take away
    await state.add_context(row, lambda: done.append("stored"))
    with pytest.raises(OSError, match="no space"):
        await state.forget_context("ctx-1", fails)
    assert len(await state.contexts()) == 1
    await state.forget_context("ctx-1", lambda: done.append("gone"))
    assert done == ["stored", "gone"]
    assert await state.contexts() == []


async def test_an_upload_is_its_owner_s(state: State) -> None:
    row = ContextRow("ctx-1", "one", "a.txt", "0" * 64, 5, 1.0, 1.0)
    await state.add_context(row, lambda: None)
    await state.add_context(row, lambda: None)
    assert (await state.use_contexts(["ctx-1"], "one"))[0].name == "a.txt"
    assert (await state.contexts())[0].used > 1.0
    with pytest.raises(ApiError, match="no context"):
        await state.use_contexts(["ctx-1"], "other")
    with pytest.raises(ApiError, match="no context"):
        await state.use_contexts(["ctx-\0"], "one")
    await state.forget_context("ctx-1", lambda: None)
    assert await state.contexts("one") == []


async def test_what_was_written_is_there_when_it_is_opened_again(place: str) -> None:
    state = await open_state(place)
    secret, key = await keep(state)
    await state.close()
    state = await open_state(place)
    assert await state.key_by_hash(hash_key(secret)) == key
    await state.close()


async def test_two_servers_share_a_database(place: str) -> None:
    first, second = await open_state(place, "first"), await open_state(place, "second")
    _, key = await keep(first, usd=Decimal(1), usd_per_run=Decimal("0.1"))
    runs = [(first, second)[n % 2].admit(new_run(n, key), key.limits) for n in range(30)]
    grants = await asyncio.gather(*runs, return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in grants) == 10
    assert {row.id for row in await first.unended_runs()} & {row.id for row in await second.unended_runs()} == set()
    await first.close()
    await second.close()


async def test_a_connection_that_broke_is_replaced(postgres: str) -> None:
    import psycopg

    state = await open_state(postgres)
    assert await state.keys() is not None
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert await state.keys() is not None
    await state.close()


async def test_a_database_that_cannot_be_had_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="permissions"):
        await open_state(tmp_path / "file" / "state.sqlite")
    with pytest.raises(StateError, match="failed"):
        await open_state("postgresql://longreach@127.0.0.1:1/none")
    with pytest.raises(UsageError, match="postgresql://"):
        await open_state("mysql://x")


@pytest.mark.parametrize("limits", [{"usd": Decimal(0)}, {"runs": 0}, {"tokens_per_day": -1}])
def test_a_limit_of_nothing_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="more than 0"):
        KeyLimits(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize("brief", [False, True])
async def test_what_is_asked_for_at_once_is_done_in_order_and_fails_alone(tmp_path: Path, brief: bool) -> None:
    database = SQLiteDatabase(tmp_path / "rows.sqlite")
    run = database.run_brief if brief else database.run
    done: list[int] = []

    def work(number: int) -> Callable[[Transaction], int]:
        def do(t: Transaction) -> int:
            done.append(number)
            t.execute("INSERT INTO rows VALUES (?)", (number,))
            if number % 3 == 1:
                raise ApiError(429, "no", "no")
            return number

        return do

    try:
        await database.run(lambda t: t.execute("CREATE TABLE rows (number INTEGER UNIQUE)"))
        results = await asyncio.gather(*(run(work(number)) for number in range(20)), return_exceptions=True)
        kept = [number for number in range(20) if number % 3 != 1]
        assert done == list(range(20))
        assert [result for result in results if isinstance(result, int)] == kept
        assert sum(isinstance(result, ApiError) for result in results) == 20 - len(kept)
        assert await database.look("SELECT number FROM rows ORDER BY number") == [(number,) for number in kept]
        twice, new = await asyncio.gather(run(work(0)), run(work(90)), return_exceptions=True)
        assert isinstance(twice, StateError)
        assert "UNIQUE" in str(twice)
        assert new == 90
        assert await database.look("SELECT count(*) FROM rows WHERE number = 90") == [(1,)]
    finally:
        await database.close()


async def test_work_that_nobody_waits_for_any_more_is_not_begun(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "rows.sqlite")
    holding = threading.Event()
    done: list[int] = []
    try:
        first = asyncio.create_task(database.run(lambda t: holding.wait(30)))
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(database.run(partial(lambda n, _: done.append(n), n))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        holding.set()
        await asyncio.gather(first, tasks[0], tasks[2])
        assert done == [0, 2]
    finally:
        holding.set()
        await database.close()


async def test_brief_work_does_not_wait_for_another_writer_on_the_event_loop(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    database = SQLiteDatabase(path)
    try:
        await database.run(lambda t: t.execute("CREATE TABLE rows (number INTEGER UNIQUE)"))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            tasks = [
                asyncio.create_task(database.run_brief(Change("INSERT INTO rows VALUES (?)", (n,)))) for n in (1, 2)
            ]
            for _ in range(20):
                await asyncio.sleep(0)  # the loop goes on
            assert not any(each.done() for each in tasks)
            other.execute("COMMIT")
        assert await asyncio.gather(*tasks) == [1, 1]
        assert await database.look("SELECT number FROM rows") == [(1,), (2,)]
    finally:
        await database.close()


async def test_the_log_of_brief_work_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longreach.serve.state.database.CHECKPOINT_AFTER", 5)
    database = SQLiteDatabase(tmp_path / "rows.sqlite")
    log = tmp_path / "rows.sqlite-wal"
    try:
        await database.run(lambda t: t.execute("CREATE TABLE rows (text TEXT)"))
        sizes = []
        for number in range(60):
            await database.run_brief(Change("INSERT INTO rows VALUES (?)", ("x" * 4000,)))
            if number % 5 == 4:
                await database.run(lambda t: 0)  # behind the checkpoint, on the same thread
                sizes.append(log.stat().st_size)
        assert sizes[-1] < 2 * sizes[0]
    finally:
        await database.close()
