"""Going on as the first process of a PID namespace.

Covers: forking into the namespace that was made, the end of the process that made it and is outside, becoming the fork server's child in
its place, and ending with the fork server. Does not cover: making the namespace (`namespaces`).

When the first process of a PID namespace ends the kernel kills all others in it: that is what ends a scout with its worker.
"""

from __future__ import annotations

import os
import select

from .libc import die_with_parent

__all__ = ["HELLO", "ServerGone", "become_first_process"]

HELLO = b"heir"


class ServerGone(Exception):
    """The fork server ended before the worker could be tied to it."""


def become_first_process(server: int, heir: int) -> None:
    """Go on as the first process of the new PID namespace, which says hello to the fork server on `heir`; this process ends.

    server: the fork server's process id. Raises `ServerGone`, OSError.
    """
    above, maker = os.pidfd_open(server), os.pidfd_open(os.getpid())
    if os.getppid() != server:
        raise ServerGone("the fork server ended before there was a worker")
    if os.fork():
        os._exit(0)
    os.write(heir, HELLO)
    _ends(maker)  # and then the kernel has made this process a child of the fork server
    die_with_parent()
    # The signal is not sent for an end that came before it was asked for.
    if _ends(above, 0):
        raise ServerGone("the fork server ended before the parent-death signal was set")
    for descriptor in (above, maker, heir):
        os.close(descriptor)


def _ends(process: int, milliseconds: int | None = None) -> bool:
    """Wait, without a limit by default, for the end of the process that this descriptor is for; whether it came."""
    end = select.poll()
    end.register(process, select.POLLIN)
    return bool(end.poll(milliseconds))
