"""Resource limits of the worker, as the kernel enforces them.

Covers: memory over what is already mapped, descriptors, files, core dumps, locked memory, message queues, CPU seconds, threads.
Does not cover: time (the host's deadline), output and calls (the session).
"""

from __future__ import annotations

import os
import resource
import threading

__all__ = ["apply", "become_nobody", "limit_threads", "mapped_bytes", "threads_of_user"]

DESCRIPTORS = 64
THREADS = 512
THREAD_STACK = 512 << 10
CPU_SECONDS = 24 * 3600
FIRST_PRIVATE_USER = 0x40000000
NOBODY = 65534


def mapped_bytes() -> int:
    """Address space in use now."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:  # text would take an encoding's module, in each worker
        return int(statm.read().split()[0]) * resource.getpagesize()


def _limit(name: str, value: int) -> None:
    number = getattr(resource, name, None)
    if number is None:
        return
    soft, hard = resource.getrlimit(number)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    if soft == hard == value:  # gVisor refuses to set some limits, even to what they are
        return
    resource.setrlimit(number, (value, value))


def apply(memory_bytes: int, mapped: int) -> str:
    """Set every limit but that on threads; `mapped` is what the address space held before the code's share of `memory_bytes`."""
    threading.stack_size(THREAD_STACK)  # 8 MB each would use up the address space after some fifty threads
    _limit("RLIMIT_AS", mapped + memory_bytes)
    _limit("RLIMIT_NOFILE", DESCRIPTORS)
    for name in ("RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_NICE"):
        _limit(name, 0)
    _limit("RLIMIT_SIGPENDING", 64)
    _limit("RLIMIT_CPU", CPU_SECONDS)
    return f"{memory_bytes >> 20} MB of memory, {DESCRIPTORS} descriptors, no files"


def become_nobody(number: int) -> bool:
    """As root: take a user id that nobody else has, so that a limit on threads counts this worker alone. Whether that was done.

    number: below 2**30, and unique to this worker as far as its host can tell; inside a PID namespace its process id is not.
    """
    if os.geteuid() != 0:
        return False
    for user in (FIRST_PRIVATE_USER + number, NOBODY):
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:
            continue
        return True
    return False


def threads_of_user() -> int:
    """How many threads this user has on the machine; needs /proc, so ask before Landlock."""
    count, user = 0, os.getuid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:  # it ended meanwhile
                continue
    return count


def limit_threads(others: int) -> str:
    """At most `THREADS` for this worker, where the kernel counts those of all the user's processes, `others` of them, too."""
    _limit("RLIMIT_NPROC", THREADS + others)
    return f"{THREADS} threads" if not others else f"{THREADS + others} threads of this user"
