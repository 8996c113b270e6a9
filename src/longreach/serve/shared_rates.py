"""Buckets of requests that the processes of one server share.

Covers: a table of them in memory that several processes have mapped, and its lock. Does not cover: how a bucket fills (`serve.rates`).

The table is a file without a name: it is gone with the last process that has it open. A process that dies frees the lock.
"""

from __future__ import annotations

import fcntl
import mmap
import struct
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from longreach.serve.rates import Bucket

__all__ = ["SharedRates", "new_table"]

SLOTS = 1 << 14
PROBED = 16  # slots in which a key may be; when all are taken the one that asked longest ago starts anew
_SLOT = struct.Struct("<16sdd")  # a key's hash, level, time
_EMPTY = bytes(16)


def new_table(folder: Path) -> int:
    """An empty table as an open file, to be inherited. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(SLOTS * _SLOT.size)
        return fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)  # never in the place of a standard stream


class SharedRates:
    """The buckets in an open table. The clock is the machine's, the same for all processes."""

    def __init__(self, table: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._slots = mmap.mmap(table, SLOTS * _SLOT.size)
        self._clock = clock

    def take(self, key_id: str, per_minute: int) -> None:
        """Count one request. Raises `ApiError` (429, with the seconds to wait) when the bucket is empty."""
        key = sha256(key_id.encode()).digest()[:16]
        now = self._clock()
        fcntl.lockf(self._table, fcntl.LOCK_EX)  # for some microseconds
        try:
            at, bucket = self._find(key, Bucket(per_minute, now))
            bucket = bucket.refilled(now, per_minute).without_one(per_minute)
            _SLOT.pack_into(self._slots, at, key, *bucket)
        finally:
            fcntl.lockf(self._table, fcntl.LOCK_UN)

    def _find(self, key: bytes, new: Bucket) -> tuple[int, Bucket]:
        """Where the key's bucket is, or may be put, and the bucket."""
        first = int.from_bytes(key[:4], "little")
        oldest, oldest_time = 0, float("inf")
        for step in range(PROBED):
            at = (first + step) % SLOTS * _SLOT.size
            found, level, time_of_level = _SLOT.unpack_from(self._slots, at)
            if found == key:
                return at, Bucket(level, time_of_level)
            if found == _EMPTY:
                return at, new
            if time_of_level < oldest_time:
                oldest, oldest_time = at, time_of_level
        return oldest, new
