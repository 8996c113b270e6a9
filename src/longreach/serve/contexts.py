"""Uploaded contexts.

Covers: taking an upload piece by piece within limits of size and disk, finding it again by its hash, reading it as a `Context`, making
room. Does not cover: HTTP (`serve.routes`).

An upload of one owner lies in `contexts/<id>/<name>`; its id is the hash of owner, name and bytes, so the same file sent twice is one
upload, and nobody can name somebody else's. Clients name ids, never paths. What is on its way lies in a folder of the process that takes
it, so that one which starts removes nothing of another. Two that look for room in the same moment may both find it: all uploads together
may pass their limit by a MiB for each process.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from longreach.context import Context, read_context
from longreach.serve.failures import ApiError
from longreach.serve.settings import ServeSettings
from longreach.serve.state import ContextRow, State

__all__ = ["ContextStore", "safe_name"]

INCOMING = ".incoming"
CHUNK = 1 << 20
NAME_BYTES = 150
DAY = 86_400.0
PLENTY_SECONDS = 0.25  # for which a disk with twice the room that is to be kept counts as one
_UNSAFE = re.compile(r"[^\w.,()+@=-]+")


class ContextStore:
    """The uploads of a server."""

    def __init__(self, settings: ServeSettings, state: State) -> None:
        self._folder = settings.folder / "contexts"
        self._own = self._folder / INCOMING / settings.member
        self._settings = settings
        self._state = state
        self._limits = settings.disk
        self._incoming = 0
        self._plenty_until = 0.0
        self._loaded: WeakValueDictionary[tuple[str, ...], Context] = WeakValueDictionary()
        self._loading: dict[tuple[str, ...], asyncio.Lock] = {}

    async def open(self) -> None:
        """Make the folder; sweep up what uploads that a dead process was taking have left."""

        def prepare() -> None:
            self._own.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self._own.parent.iterdir():
                if self._settings.inherits(left.name):
                    shutil.rmtree(left, ignore_errors=True)
            self._own.mkdir(exist_ok=True, mode=0o700)

        await asyncio.to_thread(prepare)

    async def receive(self, owner: str, name: str, pieces: AsyncIterator[bytes]) -> ContextRow:
        """Take an upload. Raises `ApiError`: 413 when it is too large, 507 when there is no room, 400 when it is empty."""
        part = self._own / secrets.token_hex(16)
        digest = hashlib.sha256()
        size = 0
        try:
            with part.open("wb", buffering=0) as file:
                async for block in _blocks(pieces):
                    size += len(block)
                    self._incoming += len(block)
                    await self._check_room(size)
                    await asyncio.to_thread(_write, file.fileno(), block, digest)
            if not size:
                raise ApiError(400, "empty_context", "the upload is empty: send the text or document as the body")
            return await self._keep(owner, safe_name(name), part, digest.hexdigest(), size)
        except OSError as error:
            raise ApiError(507, "disk_full", f"the upload could not be written ({error.strerror})") from error
        finally:
            self._incoming -= size
            part.unlink(missing_ok=True)

    async def load(self, ids: Sequence[str], owner: str) -> Context:
        """The context that these uploads make together, in this order. Raises `ApiError` (404), `ContextError`."""
        rows = await self._state.use_contexts(list(dict.fromkeys(ids)), owner)
        wanted = tuple(row.id for row in rows)
        if (context := self._loaded.get(wanted)) is not None:
            return context
        lock = self._loading.setdefault(wanted, asyncio.Lock())
        try:
            async with lock:
                if (context := self._loaded.get(wanted)) is None:
                    paths = [self._folder / row.id / row.name for row in rows]
                    context = self._loaded[wanted] = await asyncio.to_thread(_read, paths)
                return context
        finally:
            if not lock.locked():
                self._loading.pop(wanted, None)

    async def delete(self, context_id: str, owner: str) -> None:
        """Forget an upload. Raises `ApiError` (404)."""
        (row,) = await self._state.use_contexts([context_id], owner)
        await self._remove(row)

    def check_free(self, more: int = 0) -> None:
        """Raises `ApiError` (507) when `more` bytes would leave less room on the disk than the server keeps free."""
        if not more and time.monotonic() < self._plenty_until:
            return
        free = shutil.disk_usage(self._folder).free
        if free > 2 * self._limits.free:
            self._plenty_until = time.monotonic() + PLENTY_SECONDS
        if free - more < self._limits.free:
            raise ApiError(
                507,
                "disk_full",
                "the server's disk is nearly full: nothing can be stored until its operator frees some space",
            )

    # --- inside

    async def _keep(self, owner: str, name: str, part: Path, sha256: str, size: int) -> ContextRow:
        identity = hashlib.sha256(f"{owner}\0{name}\0{sha256}".encode()).hexdigest()
        now = time.time()
        row = ContextRow(f"ctx-{identity[:32]}", owner, name, sha256, size, now, now)
        target = self._folder / row.id

        def store() -> None:
            target.mkdir(exist_ok=True, mode=0o700)
            os.replace(part, target / name)

        await self._state.add_context(row, store)
        return row

    async def _check_room(self, size: int) -> None:
        limits = self._limits
        if size > limits.upload:
            raise ApiError(
                413, "context_too_large", f"an upload may have {limits.upload:,} bytes at most: send it in several"
            )
        self.check_free(self._incoming)
        rows = await self._state.contexts()
        excess = sum(row.bytes for row in rows) + self._incoming + self._incoming_elsewhere() - limits.contexts
        if excess <= 0:
            return
        unused = time.time() - limits.context_days * DAY
        for row in rows:
            if excess <= 0 or row.used > unused:
                break
            await self._remove(row)
            excess -= row.bytes
        if excess > 0:
            raise ApiError(
                507,
                "no_room",
                f"all uploads together may have {limits.contexts:,} bytes: DELETE contexts that are no longer needed",
            )

    def _incoming_elsewhere(self) -> int:
        """Bytes of what the other processes are taking."""
        found = 0
        for folder in os.scandir(self._own.parent):
            if folder.name != self._own.name:
                with suppress(OSError):  # it has just been kept, or given up
                    found += sum(each.stat().st_size for each in os.scandir(folder))
        return found

    async def _remove(self, row: ContextRow) -> None:
        removed = self._own / secrets.token_hex(16)

        def discard() -> None:
            with suppress(FileNotFoundError):  # somebody removed it by hand
                (self._folder / row.id).rename(removed)

        await self._state.forget_context(row.id, discard)
        await asyncio.to_thread(shutil.rmtree, removed, True)


def safe_name(name: str) -> str:
    """A name for a file that cannot lead anywhere: one path component of plain characters, its extension kept."""
    base = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip("._ ") or "text"
    stem, dot, extension = base.rpartition(".")
    if not stem or len(extension) > 10:
        stem, dot, extension = base, "", ""
    return stem.encode()[:NAME_BYTES].decode("utf-8", "ignore") + dot + extension


def _read(paths: list[Path]) -> Context:
    context = read_context(list(paths))
    _ = context.sha256  # here, on a thread, since a long text takes a while
    return context


def _write(file: int, block: bytes, digest: hashlib._Hash) -> None:
    digest.update(block)
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of at least `CHUNK`, but for the last."""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)
