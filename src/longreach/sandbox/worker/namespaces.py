"""A soft layer: namespaces of the worker's own, with an empty read-only root and no capabilities.

Covers: user, network, mount, IPC, UTS and cgroup namespaces. They are tried first in a child that is thrown away, so that a refusal half
way (no unprivileged user namespaces, mount denied by AppArmor) leaves the worker as it was. A PID namespace where it is asked for; this
process itself stays outside of it, and its next child is the first inside. Does not cover: that child (`first_process`).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

from .libc import libc

__all__ = ["PROCESSES", "NamespacesRefused", "NothingDone", "enter", "try_in_child"]

USER, MOUNT, NETWORK, IPC, UTS, CGROUP = 0x10000000, 0x20000, 0x40000000, 0x08000000, 0x04000000, 0x02000000
PROCESSES = 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 16384, 1 << 18
MNT_DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPABILITY_VERSION = 0x20080522
PR_CAPBSET_DROP, LAST_CAPABILITY = 24, 63
ROOM = b"/tmp"  # any directory that is there: the new root is mounted over it, unseen by others


class NamespacesRefused(Exception):
    """The kernel refused one of the steps."""


class NothingDone(NamespacesRefused):
    """The kernel refused the first step, so that the process is as it was."""


def _must(result: int, step: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise NamespacesRefused(f"{step}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError as error:
        raise NamespacesRefused(f"{path}: {error.strerror}") from error
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise NamespacesRefused(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
    _must(libc.mount(source, target, kind, ctypes.c_ulong(flags), options), f"mount {target.decode()}")


def _empty_root() -> None:
    _mount(None, b"/", None, MS_REC | MS_PRIVATE)
    quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount(b"tmpfs", ROOM, b"tmpfs", quiet, b"size=4k,nr_inodes=4,mode=755")
    os.chdir(ROOM)
    _must(libc.syscall(ctypes.c_long(PIVOT_ROOT[os.uname().machine]), b".", b"."), "pivot_root")
    _must(libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")
    _mount(None, b"/", None, quiet | MS_REMOUNT | MS_RDONLY)


def _drop_capabilities() -> None:
    for capability in range(LAST_CAPABILITY):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION, 0))
    nothing = ctypes.create_string_buffer(24)
    _must(libc.capset(header, nothing), "capset")


def enter(more: int = 0) -> str:
    """Move this single-threaded process into namespaces of its own; returns what the layer covers. Raises `NamespacesRefused`.

    more: `PROCESSES`, for a PID namespace too.

    After a refusal the process may be half way: call `try_in_child` first.
    """
    user, group = os.getuid(), os.getgid()
    if libc.unshare(USER | MOUNT | NETWORK | IPC | UTS | CGROUP | more) != 0:
        raise NothingDone(f"unshare: {os.strerror(ctypes.get_errno())}")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"65534 {user} 1")
    _write("/proc/self/gid_map", f"65534 {group} 1")
    _must(libc.sethostname(b"sandbox", ctypes.c_size_t(7)), "sethostname")
    _empty_root()
    _drop_capabilities()
    return "user, network, mount (an empty root), IPC, UTS, cgroup" + (", PID" if more & PROCESSES else "")


def try_in_child(prepare: Callable[[], object]) -> str | None:
    """Do it all in a forked child, after `prepare`; None when it works, else the reason why not."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            try:
                prepare()
                enter()
            except (NamespacesRefused, OSError, KeyError) as error:
                os.write(writer, str(error).encode() or b"refused")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reason = pipe.read(4096)
    _, status = os.waitpid(child, 0)
    if status != 0:
        return f"the trial ended with status {status}"
    return reason.decode(errors="replace") or None
