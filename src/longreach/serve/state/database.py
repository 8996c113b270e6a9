"""Where rows lie: SQLite, or PostgreSQL.

Covers: running a piece of work in one transaction against either; both speak the same SQL here, with `?` for values.
Does not cover: which rows there are (`state.store`).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from longreach.errors import LongreachError, MissingExtra
from longreach.serve.failures import StateError

__all__ = ["Change", "Database", "PostgresDatabase", "SQLiteDatabase", "Transaction"]

T = TypeVar("T")
_Result: TypeAlias = tuple[Any, Exception | None]
_Asked: TypeAlias = "tuple[Callable[[Transaction], Any], asyncio.Future[Any]]"
BUSY_SECONDS = 10.0
BRIEF_TRIES = 100
BRIEF_AGAIN_SECONDS = 0.001
CHECKPOINT_AFTER = 200  # brief transactions, of some five pages each
CONNECTIONS = 4
CONNECT_SECONDS = 10
_log = logging.getLogger("longreach.serve")


class Transaction(Protocol):
    """An open transaction."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change rows; how many."""
        ...

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read rows."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """Work of one statement, which needs nothing around it to be done whole or not at all; gives the number of rows."""

    sql: str
    values: Sequence[Any] = ()

    def __call__(self, transaction: Transaction) -> int:
        """Do it."""
        return transaction.execute(self.sql, self.values)


class Database(Protocol):
    """A database. `run` may be called many times at once."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Do `work` in one transaction, which is undone when it raises. Raises `StateError` when the database fails."""
        ...

    async def run_brief(self, work: Callable[[Transaction], T]) -> T:
        """The same for work of a moment: a statement or two that find their rows by an index, no files."""
        ...

    async def look(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """A few rows found by an index, of what is committed. Raises `StateError`."""
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class SQLiteDatabase:
    """One file, in WAL mode, which other processes may read and write (`longreach keys add`) meanwhile.

    What is asked for while the thread works is done together afterwards, in one transaction; work of several statements has a savepoint.
    The fewer statements the better: before and after each the thread waits for its turn.

    Brief work is done on the event loop, all of a turn of it in one transaction: that takes less time than a way to the thread and back.
    It does not wait. When somebody else writes it is tried again a little later, and left to the thread only if that happens again and
    again: a thread that has begun to write waits for its turn to go on, and keeps all other writers waiting. Nor does it wait for the
    disk, since the thread alone brings what was written from the log into the file. A look is at once, too: in WAL mode it cannot be
    kept waiting.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "longreach-state")
        self._connection: sqlite3.Connection | None = None  # the thread's
        self._own: sqlite3.Connection | None = None  # the event loop's
        self._waiting: list[_Asked] = []
        self._working = False
        self._brief: list[_Asked] = []
        self._brief_tries = 0  # that found somebody else writing
        self._brief_done = 0  # transactions since the last checkpoint

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """One transaction, in the order in which they were asked for."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_over([(work, future)])
        return await future

    async def run_brief(self, work: Callable[[Transaction], T]) -> T:
        """One transaction with what else is asked for in this turn of the loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._brief:
            loop.call_soon(self._do_brief)
        self._brief.append((work, future))
        return await future

    async def look(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """At once, on the event loop."""
        try:
            return self._opened().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from error

    async def close(self) -> None:
        """Close the file."""
        if self._own is not None:
            self._own.close()
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    # --- on the event loop

    def _opened(self) -> sqlite3.Connection:
        """The loop's connection, which never waits for another's lock nor for the disk."""
        if self._own is None:
            self._own = _connect(self._path, timeout=0)
            self._own.execute("PRAGMA wal_autocheckpoint=0")
        return self._own

    def _do_brief(self) -> None:
        # a caller that was cancelled before its work began wants none of it
        taken = self._brief = [each for each in self._brief if not each[1].done()]
        try:
            results = _run_all(self._opened(), [work for work, _ in taken])
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                self._put_off_brief()
                return
            results = [(None, self._failure(error)) for _ in taken]
        self._brief, self._brief_tries = [], 0
        self._settle([future for _, future in taken], results)
        self._brief_done += 1
        if self._brief_done >= CHECKPOINT_AFTER and not self._working:
            self._brief_done = 0
            self._thread.submit(self._checkpoint)

    def _put_off_brief(self) -> None:
        """Somebody else writes: try again in a moment, and if that happens often leave it to the thread, which can wait."""
        self._brief_tries += 1
        if self._brief_tries < BRIEF_TRIES:
            asyncio.get_running_loop().call_later(BRIEF_AGAIN_SECONDS, self._do_brief)
        else:
            taken, self._brief, self._brief_tries = self._brief, [], 0
            self._hand_over(taken)

    def _hand_over(self, asked: Sequence[_Asked]) -> None:
        """To the thread, once it is free."""
        self._waiting += asked
        if not self._working:
            self._working = True
            self._next()

    def _next(self) -> None:
        """Hand over all that waits."""
        # a caller that was cancelled before its work began wants none of it
        taken, self._waiting = [each for each in self._waiting if not each[1].done()], []
        loop = asyncio.get_running_loop()

        def do() -> None:
            results = self._run_on_thread([work for work, _ in taken])
            loop.call_soon_threadsafe(self._give, [future for _, future in taken], results)

        self._thread.submit(do)

    def _give(self, futures: Sequence[asyncio.Future[Any]], results: Sequence[_Result]) -> None:
        if self._waiting:
            self._next()
        else:
            self._working = False
        self._settle(futures, results)

    def _settle(self, futures: Sequence[asyncio.Future[Any]], results: Sequence[_Result]) -> None:
        for future, (value, error) in zip(futures, results, strict=True):
            if future.done():
                continue  # cancelled: it was done nevertheless
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(self._failure(error) if isinstance(error, sqlite3.Error) else error)

    # --- on the thread

    def _run_on_thread(self, works: Sequence[Callable[[Transaction], Any]]) -> list[_Result]:
        try:
            connection = self._connection = self._connection or self._open()
            return _run_all(connection, works)
        except (sqlite3.Error, OSError) as error:
            return [(None, self._failure(error)) for _ in works]

    def _checkpoint(self) -> None:
        """Bring what was written from the log into the file, so that the log can begin anew. It keeps nobody from writing."""
        try:
            connection = self._connection = self._connection or self._open()
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (sqlite3.Error, OSError) as error:
            _log.warning("%s; until then its log grows", self._failure(error))

    def _failure(self, error: Exception) -> StateError:
        return StateError(
            f"the database {self._path.name} cannot be used ({error}): free some space there, or look at its permissions"
        )

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = _connect(self._path, timeout=BUSY_SECONDS)
        self._path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        return connection


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    # survives the death of the process; a power cut may take the last rows, which are found again in the journals
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _run_all(connection: sqlite3.Connection, works: Sequence[Callable[[Transaction], Any]]) -> list[_Result]:
    """All in one transaction; each fails alone, but for a database that fails: raises `sqlite3.Error`, and nothing was done."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [_run(connection, work) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results


def _run(connection: sqlite3.Connection, work: Callable[[Transaction], Any]) -> _Result:
    several = not isinstance(work, Change)
    if several:
        connection.execute("SAVEPOINT one")
    try:
        result = work(_SQLiteTransaction(connection))
    except sqlite3.OperationalError:
        raise  # the database, not this work
    except Exception as error:  # noqa: BLE001 it belongs to whoever asked for the work
        if several:
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
        return None, error
    if several:
        connection.execute("RELEASE one")
    return result, None


class _SQLiteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()


class PostgresDatabase:
    """A PostgreSQL server, which several servers may share. A connection that broke is opened anew for the next transaction."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingExtra("postgres", "a postgresql:// database") from None
        self._psycopg = psycopg
        self._url = url
        self._threads = ThreadPoolExecutor(CONNECTIONS, "longreach-state")
        self._local = threading.local()
        self._opened: list[Any] = []

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """One transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    async def run_brief(self, work: Callable[[Transaction], T]) -> T:
        """One transaction."""
        return await self.run(work)

    async def look(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """One transaction."""
        return await self.run(lambda t: t.rows(sql, values))

    async def close(self) -> None:
        """Close all connections."""
        self._threads.shutdown()
        for connection in self._opened:
            connection.close()

    def _run(self, work: Callable[[Transaction], T]) -> T:
        try:
            connection = self._connection()
            with connection.transaction():
                return work(_PostgresTransaction(connection))
        except LongreachError:
            raise
        except self._psycopg.Error as error:
            raise StateError(
                f"the database failed ({type(error).__name__}): {str(error).splitlines()[0] if str(error) else ''}"
            ) from None

    def _connection(self) -> Any:
        """This thread's connection; one that the server has closed is replaced."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                connection.execute("SELECT 1")
                return connection
            except self._psycopg.OperationalError:
                connection.close()
                self._opened.remove(connection)
        connection = self._psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
        self._local.connection = connection
        self._opened.append(connection)
        return connection


class _PostgresTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        return int(self._connection.execute(sql.replace("?", "%s"), tuple(values)).rowcount)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return list(self._connection.execute(sql.replace("?", "%s"), tuple(values)).fetchall())
