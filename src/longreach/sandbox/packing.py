"""The context in shared memory, laid out so that a worker can use it where it lies.

Covers: one sealed memory file per `Context`, shared by all sandboxes that ask about it (an unnamed temporary file where the system has no
memory files), and the check against free memory. Does not cover: attaching it inside a worker (`worker.text`).

Layout: one page of room for an object header, then the characters in CPython's compact form (1, 2 or 4 bytes each), then a zero.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from longreach.context import Context
from longreach.errors import ContextTooLarge, SandboxUnavailable

__all__ = ["Packed", "free_memory", "pack", "pack_bytes"]

HEADER_BYTES = 4096
CHUNK_CHARS = 4 << 20
WRITE_BYTES = 64 << 20
LARGE_BYTES = 16 << 20  # from here on it is worth a millisecond to give back memory that was used for reading
ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
MFD_NOEXEC_SEAL = 8
F_ADD_SEALS, ALL_SEALS = 1033, 1 | 2 | 4 | 8  # seal, shrink, grow, write
SPARE_BYTES = 64 << 20  # left for everything else


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed context: the descriptor of its memory file, and the shape that a worker needs to read it."""

    descriptor: int
    kind: int
    length: int
    ascii: bool

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return HEADER_BYTES + (self.length + 1) * self.kind


_packed: weakref.WeakKeyDictionary[Context, Packed] = weakref.WeakKeyDictionary()
_packing = threading.Lock()
_seeking = threading.Lock()  # where a file cannot be read or written at a place (Windows)


def free_memory() -> int:
    """Bytes that can be had without swapping, within the machine's and this process's control group's limits."""
    available = 1 << 62
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) << 10
    with suppress(OSError, ValueError, IndexError):
        group = Path("/sys/fs/cgroup") / Path("/proc/self/cgroup").read_text(encoding="ascii").split("::", 1)[
            1
        ].strip().lstrip("/")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        available = min(available, limit - int((group / "memory.current").read_text(encoding="ascii")))
    return available


def _check_room(size: int) -> None:
    free = free_memory()
    if size + SPARE_BYTES > free:
        raise ContextTooLarge(
            f"the context needs {size >> 20:,} MB of memory for the sandbox and {free >> 20:,} MB are free: "
            "free some memory, or ask about fewer files at a time"
        )


def _pwrite(descriptor: int, data: memoryview, at: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, at)
    with _seeking:
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.write(descriptor, data)


def _pread(descriptor: int, count: int, at: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, count, at)
    with _seeking:
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.read(descriptor, count)


def _write(descriptor: int, units: memoryview | bytes, at: int) -> int:
    """Write all of it at this place; the place behind it."""
    view = memoryview(units)
    while view:
        written = _pwrite(descriptor, view[:WRITE_BYTES], at)
        at += written
        view = view[written:]
    return at


def _fill_ascii(descriptor: int, text: str) -> None:
    """Write an ASCII text from where it lies: CPython's own characters are its UTF-8 form."""
    os.ftruncate(descriptor, HEADER_BYTES + len(text) + 1)
    where = ctypes.pythonapi.PyUnicode_AsUTF8AndSize
    where.restype, where.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_void_p)
    characters = (ctypes.c_char * len(text)).from_address(where(text, None))
    _write(descriptor, memoryview(characters).cast("B"), HEADER_BYTES)


def _fill(descriptor: int, text: str, kind: int) -> bool:
    """Write the characters; False when they do not all fit into `kind` bytes."""
    os.ftruncate(descriptor, HEADER_BYTES + (len(text) + 1) * kind)
    at = HEADER_BYTES
    errors = "strict" if kind == 1 else "surrogatepass"
    for start in range(0, len(text), CHUNK_CHARS):
        piece = text[start : start + CHUNK_CHARS]
        try:
            units = piece.encode(ENCODINGS[kind], errors)
        except UnicodeEncodeError:
            return False
        if len(units) != len(piece) * kind:
            return False
        at = _write(descriptor, units, at)
    return True


def _memory_file() -> int:
    if not hasattr(os, "memfd_create"):  # macOS, Windows
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("context", flags | MFD_NOEXEC_SEAL)
    except OSError:  # a kernel older than 6.3
        try:
            return os.memfd_create("context", flags)
        except OSError as error:
            raise SandboxUnavailable(f"no shared memory for the context: {error}") from error


def _seal(descriptor: int) -> None:
    """From now on nobody can change the memory file, whoever has a descriptor of it."""
    if hasattr(os, "memfd_create"):
        import fcntl  # not on Windows

        fcntl.fcntl(descriptor, F_ADD_SEALS, ALL_SEALS)


def _pack(text: str) -> Packed:
    for kind in ENCODINGS:
        _check_room(len(text) * kind)
        descriptor = _memory_file()
        try:
            if text.isascii():
                _fill_ascii(descriptor, text)
            if text.isascii() or _fill(descriptor, text, kind):
                _seal(descriptor)
                packed = Packed(descriptor, kind, len(text), text.isascii())
                descriptor = -1
                return packed
        except OSError as error:
            raise ContextTooLarge(f"the context does not fit into shared memory: {error}") from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    raise AssertionError("every text fits into four bytes a character")


def pack(context: Context) -> Packed:
    """The context's memory file, made at the first call and closed with the context. Blocks. Raises `ContextTooLarge`."""
    with _packing:
        packed = _packed.get(context)
        if packed is None:
            packed = _packed[context] = _pack(context.text)
            weakref.finalize(context, os.close, packed.descriptor)
            if packed.size > LARGE_BYTES:
                _give_back_freed()
        return packed


def _give_back_freed() -> None:
    """Hand what reading the text has freed back to the system: glibc keeps it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def pack_bytes(packed: Packed) -> bytes:
    """The characters alone, for a worker that cannot be handed a descriptor."""
    size, at, pieces = packed.length * packed.kind, HEADER_BYTES, []
    while size:
        piece = _pread(packed.descriptor, min(size, WRITE_BYTES), at)
        pieces.append(piece)
        at += len(piece)
        size -= len(piece)
    return b"".join(pieces)
