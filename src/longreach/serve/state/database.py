"""Where rows lie: SQLite, or PostgreSQL.

Covers: running a piece of work in one transaction, on a thread, against either; both speak the same SQL here, with `?` for values.
Does not cover: which rows there are (`state.store`).
"""

from __future__ import annotations

import asyncio
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
BUSY_SECONDS = 10.0
CONNECTIONS = 4
CONNECT_SECONDS = 10


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

    async def look(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """A few rows found by an index, of what is committed. Raises `StateError`."""
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class SQLiteDatabase:
    """One file, in WAL mode: written by one thread, and readable by other processes (`longreach keys list`) meanwhile.

    What is asked for while that thread works is done together afterwards, in one transaction; work of several statements has a savepoint.
    The fewer statements the better: before and after each the thread waits for its turn. A look does not wait for the thread: in WAL mode
    it cannot be kept waiting, and takes less time than a way to the thread and back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "longreach-state")
        self._connection: sqlite3.Connection | None = None
        self._looking: sqlite3.Connection | None = None
        self._waiting: list[tuple[Callable[[Transaction], Any], asyncio.Future[Any]]] = []
        self._working = False

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """One transaction, in the order in which they were asked for."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if not self._working:
            self._working = True
            self._next()
        return await future

    async def look(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """At once, on the event loop."""
        try:
            looking = self._looking = self._looking or sqlite3.connect(self._path, timeout=0, isolation_level=None)
            return looking.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from error

    async def close(self) -> None:
        """Close the file."""
        if self._looking is not None:
            self._looking.close()
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    # --- on the event loop

    def _next(self) -> None:
        """Hand over all that waits."""
        # a caller that was cancelled before its work began wants none of it
        taken, self._waiting = [each for each in self._waiting if not each[1].done()], []
        loop = asyncio.get_running_loop()

        def do() -> None:
            results = self._run_all([work for work, _ in taken])
            loop.call_soon_threadsafe(self._give, [future for _, future in taken], results)

        self._thread.submit(do)

    def _give(self, futures: Sequence[asyncio.Future[Any]], results: Sequence[_Result]) -> None:
        if self._waiting:
            self._next()
        else:
            self._working = False
        for future, (value, error) in zip(futures, results, strict=True):
            if future.done():
                continue  # cancelled: it was done nevertheless
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

    # --- on the thread

    def _run_all(self, works: Sequence[Callable[[Transaction], Any]]) -> list[_Result]:
        """All in one transaction; each fails alone, but for a database that fails."""
        try:
            connection = self._connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = [self._run(connection, work) for work in works]
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            return [(None, self._failure(error)) for _ in works]
        return results

    def _run(self, connection: sqlite3.Connection, work: Callable[[Transaction], Any]) -> _Result:
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
            return None, self._failure(error) if isinstance(error, sqlite3.Error) else error
        if several:
            connection.execute("RELEASE one")
        return result, None

    def _failure(self, error: Exception) -> StateError:
        return StateError(
            f"the database {self._path.name} cannot be used ({error}): free some space there, or look at its permissions"
        )

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        self._path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        # survives the death of the process; a power cut may take the last rows, which are found again in the journals
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection


class _SQLiteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, tuple(values)).rowcount

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(sql, tuple(values)).fetchall()


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
