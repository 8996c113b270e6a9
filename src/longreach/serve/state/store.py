"""The rows of the server and what is done with them.

Covers: keys, admitting a run within its key's limits, runs and their owners, uploads. Does not cover: the database (`state.database`),
rates of requests (`serve.rates`, kept in memory).

A run's reservation is made and checked in one transaction that first locks the key's row, so however many requests come at once, through
however many servers, spent and reserved together never exceed a key's limits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from longreach.errors import UsageError
from longreach.serve.failures import ApiError
from longreach.serve.settings import NUMBER
from longreach.serve.state.database import Change, Database, PostgresDatabase, SQLiteDatabase, Transaction
from longreach.serve.state.values import (
    ACTIVE,
    ContextRow,
    Grant,
    Key,
    KeyLimits,
    NewRun,
    RunRow,
    Spending,
    floor,
    nano,
    usd,
)

__all__ = ["State", "open_state"]

QUERY_CHARS = 200
RETRY_SECONDS = 5

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, start TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
       created DOUBLE PRECISION NOT NULL, revoked DOUBLE PRECISION, limits TEXT NOT NULL, admissions BIGINT NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, owner TEXT NOT NULL, instance TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,
       day TEXT NOT NULL, model TEXT NOT NULL, query TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
       reserved_nano BIGINT NOT NULL DEFAULT 0, reserved_tokens BIGINT NOT NULL DEFAULT 0,
       spent_nano BIGINT NOT NULL DEFAULT 0, spent_tokens BIGINT NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS runs_by_owner ON runs (owner, id)",
    "CREATE INDEX IF NOT EXISTS runs_by_day ON runs (owner, day)",
    "CREATE INDEX IF NOT EXISTS runs_by_status ON runs (status, instance)",
    """CREATE TABLE IF NOT EXISTS contexts (id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL,
       bytes BIGINT NOT NULL, created DOUBLE PRECISION NOT NULL, used DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS contexts_by_owner ON contexts (owner, id)",
)
_KEY = "id, name, start, created, revoked, limits"
_RUN = "id, owner, instance, created, model, query, status, reason, spent_nano, spent_tokens"
_ENTERED = (
    *("id", "owner", "instance", "created", "day", "model", "query", "status", "reason"),
    *("reserved_nano", "reserved_tokens", "spent_nano", "spent_tokens"),
)
_ENTER = f"""INSERT INTO runs ({", ".join(_ENTERED)}) VALUES ({", ".join("?" * len(_ENTERED))}) ON CONFLICT (id) DO UPDATE SET
             {", ".join(f"{each} = excluded.{each}" for each in _ENTERED[1:])} WHERE runs.status <> ?"""
_CONTEXT = "id, owner, name, sha256, bytes, created, used"


async def open_state(place: str | Path, instance: str = "server") -> State:
    """The state in a file or at a postgresql:// URL; its tables are made when they are missing. Raises `StateError`, `MissingExtra`."""
    text = str(place)
    if "://" in text and not text.startswith(("postgresql://", "postgres://")):
        raise UsageError(f"a database is a file or a postgresql:// URL, not {text.partition('://')[0]}://...")
    database: Database = PostgresDatabase(text) if "://" in text else SQLiteDatabase(Path(place))
    state = State(database, instance)
    try:
        await database.run(lambda t: [t.execute(each) for each in SCHEMA])
    except BaseException:
        await database.close()
        raise
    return state


class State:
    """All that the server remembers. Every method is one transaction and raises `StateError` when the database fails."""

    def __init__(self, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance

    async def close(self) -> None:
        """Give back connections."""
        await self._database.close()

    # --- keys

    async def add_key(self, key: Key, hashed: str) -> None:
        """Keep a new key, which is known by its hash alone."""
        limits = json.dumps(key.limits.to_json())
        values = (key.id, key.name, key.start, hashed, key.created, limits)
        sql = "INSERT INTO keys (id, name, start, hash, created, limits) VALUES (?, ?, ?, ?, ?, ?)"
        await self._database.run(Change(sql, values))

    async def keys(self) -> list[Key]:
        """All keys, oldest first, those that are revoked too."""
        rows = await self._database.run(lambda t: t.rows(f"SELECT {_KEY} FROM keys ORDER BY created"))
        return [_key(row) for row in rows]

    async def key_by_hash(self, hashed: str) -> Key | None:
        """The key with this hash, unless it was revoked."""
        sql = f"SELECT {_KEY} FROM keys WHERE hash = ? AND revoked IS NULL"
        rows = await self._database.look(sql, (hashed,))
        return _key(rows[0]) if rows else None

    async def has_keys(self) -> bool:
        """Whether there has ever been a key: after the last one is revoked nobody gets in, rather than everybody."""
        return bool(await self._database.look("SELECT 1 FROM keys LIMIT 1"))

    async def check(self) -> None:
        """Raises `StateError` when nothing can be written."""
        await self._database.run(Change("UPDATE keys SET admissions = admissions WHERE id = ''"))

    async def revoke_key(self, key_id: str) -> bool:
        """Whether there was such a key, not yet revoked."""
        sql = "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL"
        return bool(await self._database.run(Change(sql, (time.time(), key_id))))

    async def spending(self, key_id: str) -> tuple[Spending, Spending]:
        """What a key's runs have spent or reserved: today, and in all."""

        def work(t: Transaction) -> tuple[Spending, Spending]:
            return _committed(t, key_id, _today()), _committed(t, key_id)

        return await self._database.run(work)

    # --- runs

    async def admit(self, run: NewRun, limits: KeyLimits) -> Grant:
        """Enter a run (or enter it again, to be resumed) and reserve what it may use. Raises `ApiError` when its key allows no more."""
        if not run.owner:  # no key, no limits
            grant = Grant(None if run.usd is None else floor(run.usd), run.tokens)
            _check_entered(run, await self._database.run_brief(self._entry(run, grant)))
            return grant
        # what a key has used is the sum over its runs, which may be many
        run_work = self._database.run if limits.of_sums else self._database.run_brief
        return await run_work(lambda t: self._admit(t, run, limits))

    async def end_run(self, run_id: str, status: str, reason: str, spending: Spending) -> None:
        """A run has ended; what was reserved and not spent is free again."""
        sql = """UPDATE runs SET status = ?, reason = ?, spent_nano = ?, spent_tokens = ?, reserved_nano = 0, reserved_tokens = 0
                 WHERE id = ?"""
        values = (status, reason, nano(spending.usd), spending.tokens, run_id)
        await self._database.run_brief(Change(sql, values))

    async def run(self, run_id: str, owner: str) -> RunRow | None:
        """The owner's run; None when there is none or it is somebody else's."""
        sql = f"SELECT {_RUN} FROM runs WHERE id = ? AND owner = ?"
        rows = await self._database.run(lambda t: t.rows(sql, (run_id, owner)))
        return _run(rows[0]) if rows else None

    async def runs(self, owner: str, limit: int, before: str | None = None) -> list[RunRow]:
        """The owner's runs, newest first; those before the run `before`."""
        sql = f"SELECT {_RUN} FROM runs WHERE owner = ? {'AND id < ?' if before else ''} ORDER BY id DESC LIMIT ?"
        values = (owner, before, limit) if before else (owner, limit)
        return [_run(row) for row in await self._database.run(lambda t: t.rows(sql, values))]

    async def unended_runs(self) -> list[RunRow]:
        """Runs that work, or that a process which died has left, of all processes of this server."""
        server = self._instance.partition(NUMBER)[0]
        sql = f"SELECT {_RUN} FROM runs WHERE status = ? AND (instance = ? OR substr(instance, 1, ?) = ?)"
        values = (ACTIVE, server, len(server) + 1, server + NUMBER)
        return [_run(row) for row in await self._database.run(lambda t: t.rows(sql, values))]

    # --- uploads

    async def add_context(self, row: ContextRow, store: Callable[[], object]) -> None:
        """Keep an upload; one that is there already counts as used now. `store` puts the file in its place. It is called with the row
        locked, as is `discard`, so that of two processes which add and remove the same upload one comes after the other.
        """
        sql = f"""INSERT INTO contexts ({_CONTEXT}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET used = excluded.used"""
        values = (row.id, row.owner, row.name, row.sha256, row.bytes, row.created, row.used)
        await self._database.run(lambda t: (t.execute(sql, values), store()))

    async def use_contexts(self, ids: Sequence[str], owner: str) -> list[ContextRow]:
        """The owner's uploads with these ids, in their order, marked as used. Raises `ApiError` (404) for one that is not there."""

        def work(t: Transaction) -> list[ContextRow]:
            found = []
            for each in ids:
                sql = f"SELECT {_CONTEXT} FROM contexts WHERE id = ? AND owner = ?"
                rows = t.rows(sql, (each, owner)) if each.isprintable() else []
                if not rows:
                    raise ApiError(
                        404,
                        "context_not_found",
                        f"there is no context '{each[:80]}': upload it to /v1/contexts",
                        param="context_id",
                    )
                t.execute("UPDATE contexts SET used = ? WHERE id = ?", (time.time(), each))
                found.append(ContextRow(*rows[0]))
            return found

        return await self._database.run(work)

    async def contexts(self, owner: str | None = None) -> list[ContextRow]:
        """The owner's uploads, or all, those used longest ago first."""
        where, values = ("WHERE owner = ?", (owner,)) if owner is not None else ("", ())
        sql = f"SELECT {_CONTEXT} FROM contexts {where} ORDER BY used"
        return [ContextRow(*row) for row in await self._database.run(lambda t: t.rows(sql, values))]

    async def forget_context(self, context_id: str, discard: Callable[[], object]) -> None:
        """Remove an upload; `discard` takes its file away."""
        sql = "DELETE FROM contexts WHERE id = ?"
        await self._database.run(lambda t: t.execute(sql, (context_id,)) and discard())

    # --- inside

    def _admit(self, t: Transaction, run: NewRun, limits: KeyLimits) -> Grant:
        if not t.execute("UPDATE keys SET admissions = admissions + 1 WHERE id = ? AND revoked IS NULL", (run.owner,)):
            raise ApiError(401, "invalid_api_key", "this API key was revoked")
        grant = _grant(t, run, limits, 1 if limits.runs is None else _free_runs(t, run, limits.runs))
        _check_entered(run, self._entry(run, grant)(t))
        return grant

    def _entry(self, run: NewRun, grant: Grant) -> Change:
        """A run that begins, with what it has not spent of its grant reserved; changes no row where it still goes on."""
        more_usd = None if grant.usd is None else max(Decimal(0), grant.usd - run.spent.usd)
        more_tokens = None if grant.tokens is None else max(0, grant.tokens - run.spent.tokens)
        values = (
            *(run.id, run.owner, self._instance, time.time(), _today(), run.model),
            *(run.query[:QUERY_CHARS].replace("\0", ""), ACTIVE, ""),
            *(nano(more_usd) or 0, more_tokens or 0, nano(run.spent.usd), run.spent.tokens),
        )
        return Change(_ENTER, (*values, ACTIVE))


def _check_entered(run: NewRun, rows: int) -> None:
    if not rows:
        raise ApiError(409, "still_running", f"the run {run.id} still goes on: follow its events")


def _free_runs(t: Transaction, run: NewRun, most: int) -> int:
    """How many more runs the key may have at once, this one included. Raises `ApiError` when there is none."""
    sql = "SELECT count(*) FROM runs WHERE owner = ? AND status = ? AND id <> ?"
    active = int(t.rows(sql, (run.owner, ACTIVE, run.id))[0][0])
    if active >= most:
        raise ApiError(
            429,
            "too_many_runs",
            f"this key may have {most} runs at once and has {active}",
            retry_after=RETRY_SECONDS,
        )
    return most - active


def _grant(t: Transaction, run: NewRun, limits: KeyLimits, free_runs: int) -> Grant:
    """What the run may use in all, what it has spent included: what it asks for, within its key's limits. A run that asks for nothing and
    whose key has no limit for one run gets an equal share of what is left over the runs that the key may still have at once.
    """
    daily = limits.usd_per_day is not None or limits.tokens_per_day is not None
    overall = limits.usd is not None or limits.tokens is not None
    today = _committed(t, run.owner, _today(), without=run.id) if daily else Spending()
    ever = _committed(t, run.owner, without=run.id) if overall else Spending()
    dollars = _allowed(
        run.usd,
        limits.usd_per_run,
        ((limits.usd_per_day, today.usd, "a day"), (limits.usd, ever.usd, "in all")),
        free_runs,
        "$",
    )
    tokens = _allowed(
        None if run.tokens is None else Decimal(run.tokens),
        None if limits.tokens_per_run is None else Decimal(limits.tokens_per_run),
        (
            (None if limits.tokens_per_day is None else Decimal(limits.tokens_per_day), Decimal(today.tokens), "a day"),
            (None if limits.tokens is None else Decimal(limits.tokens), Decimal(ever.tokens), "in all"),
        ),
        free_runs,
        "tokens: ",
    )
    return Grant(None if dollars is None else floor(dollars), None if tokens is None else max(1, int(tokens)))


def _allowed(
    wanted: Decimal | None,
    per_run: Decimal | None,
    limits: Sequence[tuple[Decimal | None, Decimal, str]],
    free_runs: int,
    unit: str,
) -> Decimal | None:
    left = None
    for limit, committed, period in limits:
        if limit is None:
            continue
        remains = limit - committed
        if remains <= 0:
            raise ApiError(
                429,
                "insufficient_quota",
                f"this key's budget is spent or reserved: {unit}{committed.normalize():f} of {unit}{limit.normalize():f} {period}",
            )
        left = remains if left is None else min(left, remains)
    if left is not None and wanted is None and per_run is None:
        return left / free_runs
    known = [each for each in (wanted, per_run, left) if each is not None]
    return min(known) if known else None


def _committed(t: Transaction, owner: str, day: str | None = None, without: str = "") -> Spending:
    where, values = ("AND day = ?", (owner, without, day)) if day else ("", (owner, without))
    sql = f"""SELECT coalesce(sum(spent_nano + reserved_nano), 0), coalesce(sum(spent_tokens + reserved_tokens), 0)
              FROM runs WHERE owner = ? AND id <> ? {where}"""
    billionths, tokens = t.rows(sql, values)[0]
    return Spending(usd(int(billionths)), int(tokens))


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _key(row: Any) -> Key:
    *values, limits = row
    return replace(Key(*values), limits=KeyLimits.from_json(json.loads(limits)))


def _run(row: Any) -> RunRow:
    run_id, owner, instance, created, model, query, status, reason, billionths, tokens = row
    spending = Spending(usd(int(billionths)), int(tokens))
    return RunRow(run_id, owner, instance, created, model, query, status, reason, spending)
