"""The few calls into libc and the kernel that Python's standard library does not wrap.

Covers: raw system calls with errno, prctl. Does not cover: what they are used for.
"""

from __future__ import annotations

import ctypes
import signal

__all__ = ["adopt_orphans", "die_with_parent", "libc", "no_new_privileges", "not_dumpable", "set_dumpable", "syscall"]

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38


def syscall(number: int, *arguments: int) -> tuple[int, int]:
    """Make a raw system call; its result and errno (0 when it succeeded)."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_void_p(argument) for argument in arguments))
    return int(result), ctypes.get_errno() if result == -1 else 0


def _prctl(option: int, value: int) -> bool:
    return bool(libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)


def die_with_parent() -> None:
    """SIGKILL for this process when the thread that started it ends. A change of user or namespace clears it: call it after those."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """From here on processes below this one become its children when their parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> bool:
    """From here on no setuid program can add privileges. Whether the kernel agreed."""
    return _prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable() -> None:
    """Give /proc/self back to this user after a change of user id."""
    _prctl(PR_SET_DUMPABLE, 1)


def not_dumpable() -> None:
    """No core dumps, also not through a pipe handler, which ignores the limit; and no ptrace by others of the same user."""
    _prctl(PR_SET_DUMPABLE, 0)
