"""The fork server: a process that has imported everything and forks a worker in milliseconds.

Covers: its loop over the host's requests. Does not cover: the host's side (`longreach.sandbox.forkserver`), what a worker does (`main`).
It never maps a context, runs no model-written code, holds no session's descriptors, and ends with the host: at the end of the control
stream, and by the parent-death signal. Its children are reaped only when the host asks, so that a process id stays theirs until then.

A child that makes a PID namespace ends as soon as it has forked the first process in there, its heir: the worker, which is this
process's child from then on. Until the host says that it holds the heir, that ends with the child.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import struct
from typing import Any

from .first_process import HELLO
from .libc import adopt_orphans, die_with_parent
from .lockdown import Surroundings, try_namespaces
from .main import Descriptors, hide_host, serve

__all__ = ["run"]

CREDENTIALS = struct.Struct("3i")
CREDENTIALS_BYTES = socket.CMSG_SPACE(CREDENTIALS.size)
REQUEST_BYTES = 4096
MOST_DESCRIPTORS = 3


class _Children:
    """What was forked and is not reaped yet."""

    def __init__(self, control: socket.socket, refusal: str | None) -> None:
        self._control = control
        self._refusal = refusal
        self._heirs: dict[int, int] = {}  # by process id: the channel on which its heir says hello

    def fork(self, descriptors: list[int]) -> dict[str, Any]:
        """A new worker on the stream `descriptors[0]`, scouts on `descriptors[1]`, with the context `descriptors[2]` if there is one."""
        parent = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the kernel says who it was
        hellos, heir = ours.detach(), theirs.detach()
        try:
            child = os.fork()
        except OSError as error:
            os.close(hellos)
            os.close(heir)
            return {"error": f"fork: {error.strerror}"}
        if child == 0:
            try:
                self._control.close()
                gc.enable()
                stream, scouts, *context = descriptors
                around = Surroundings(parent, self._refusal, scouts, heir=heir)
                serve(Descriptors(stream, stream, next(iter(context), None)), around)
            finally:
                os._exit(5)
        os.close(heir)
        self._heirs[child] = hellos
        return {"pid": child}

    def reap(self, pid: int) -> dict[str, Any]:
        """How a worker that has ended, or is about to, did end; an heir that nobody holds ends with it."""
        status = _wait(pid)
        if (heir := self._heir_of(pid)) is not None:
            os.kill(heir, signal.SIGKILL)
            status = _wait(heir)
        return {"error": "no such worker"} if status is None else {"status": status}

    def hand_over(self, pid: int) -> dict[str, Any]:
        """The host holds the heir of this one, which has ended."""
        self._heir_of(pid)
        return {"status": _wait(pid)}

    def _heir_of(self, pid: int) -> int | None:
        """Of one that has ended: its heir says hello as the first thing it does, and without one the channel is closed."""
        if pid not in self._heirs:
            return None
        with socket.socket(fileno=self._heirs.pop(pid)) as hellos:
            _, ancillary, _, _ = hellos.recvmsg(len(HELLO), CREDENTIALS_BYTES)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                heir: int = CREDENTIALS.unpack_from(data)[0]
                return heir or None
        return None


def _wait(pid: int) -> int | None:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None


def _answer(children: _Children, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    if "reap" in request:
        return children.reap(request["reap"])
    if "hand_over" in request:
        return children.hand_over(request["hand_over"])
    return children.fork(descriptors)


def run(control: socket.socket, parent: int) -> None:
    """Serve until the host hangs up. Never returns."""
    die_with_parent()
    adopt_orphans()
    if os.getppid() != parent:
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children = _Children(control, try_namespaces())
    hide_host()  # each worker does so again: here for the pages that it writes to, which all share then
    gc.collect()
    gc.freeze()
    control.send(b'{"ready":true}')
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, MOST_DESCRIPTORS)
        except OSError:
            os._exit(0)
        if not message:
            os._exit(0)
        request = json.loads(message)
        answer = _answer(children, request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            control.send(json.dumps(answer).encode())
