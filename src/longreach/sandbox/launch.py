"""How a worker comes to be, apart from what is said to it.

Covers: the interface between a backend (which starts the worker's program somewhere) and a session (which talks to it over one stream),
and the plainest launcher: a fresh interpreter on this machine. Does not cover: the fork server (`zygote`), other backends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from longreach.errors import SandboxUnavailable

__all__ = [
    "CLEAN_ENVIRONMENT",
    "WORKER_FOLDER",
    "FreshInterpreter",
    "Launched",
    "Launcher",
    "Process",
    "Signalled",
    "describe_status",
]

WORKER_FOLDER = Path(__file__).resolve().parent / "worker"
# A fixed hash seed: sets of texts iterate in the same order each time, so the same question gives the same journal.
CLEAN_ENVIRONMENT = {"PATH": "", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
# Numerical libraries shall not start a thread per core: those would not survive a fork, and count towards the limits.
CLEAN_ENVIRONMENT |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Without this each thread reserves 64 MB of address space for its own heap, and a hundred threads use up the limit.
CLEAN_ENVIRONMENT |= {"MALLOC_ARENA_MAX": "1"}
INTERPRETER_OPTIONS = ("-P", "-s", "-S", "-B")


class Process(Protocol):
    """A worker's process as the host holds it. Signals to one that has ended do nothing."""

    def interrupt(self) -> None:
        """Ask the step that runs to end (SIGINT)."""
        ...

    def freeze(self) -> None:
        """Stop it from running, where the backend can."""
        ...

    def thaw(self) -> None:
        """Let it run again."""
        ...

    def kill(self) -> None:
        """End it and all that it started, at once."""
        ...

    async def ended(self) -> str:
        """Wait until it has ended and nothing of it is left; how it ended, in words."""
        ...


@dataclass(frozen=True, slots=True)
class Launched:
    """A started worker: its process, the host's end of the stream to it, and that of the channel for scouts, where there is one.

    hand_over: where there is one, what to call, between two requests, with the id of and a descriptor for the process that the worker
        is when that is not the one that was started, which has ended.
    """

    process: Process
    stream: socket.socket
    scouts: socket.socket | None = None
    hand_over: Callable[[int, int], None] | None = None

    async def end(self) -> str:
        """End a worker that nobody talks to; how it ended."""
        self.stream.close()
        self.close_scouts()
        self.process.kill()
        return await self.process.ended()

    def close_scouts(self) -> None:
        """Close the channel for scouts, where there is one."""
        if self.scouts is not None:
            self.scouts.close()


class Launcher(Protocol):
    """Starts workers of one backend."""

    name: str
    passes_descriptors: bool
    """Whether a worker gets the context as a descriptor; else it travels over the stream."""

    async def launch(self, context: int | None) -> Launched:
        """Start one worker; `context` is a descriptor to hand over. Raises `SandboxUnavailable`."""
        ...


def describe_status(code: int) -> str:
    """A return code as `subprocess` gives it, in words."""
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


class Signalled(ABC):
    """A process that signals reach."""

    @abstractmethod
    def _signal(self, number: signal.Signals) -> None:
        """Send it; nothing happens when the process has ended."""

    def interrupt(self) -> None:
        """SIGINT."""
        self._signal(signal.SIGINT)

    def freeze(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)


class LocalProcess(Signalled):
    """A child of this process, alone in its process group."""

    def __init__(self, child: subprocess.Popen[bytes], complaints: int) -> None:
        self._child = child
        self._complaints = complaints
        self._how: str | None = None
        self._close = weakref.finalize(self, os.close, complaints)

    def _signal(self, number: signal.Signals) -> None:
        if self._child.poll() is None:
            self._child.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, to its group."""
        with suppress(ProcessLookupError):
            if self._child.poll() is None:
                os.killpg(self._child.pid, signal.SIGKILL)

    async def ended(self) -> str:
        """Wait for its end; how it ended."""
        pause = 0.001
        while (code := self._child.poll()) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.05)
        if self._how is None:
            said = os.pread(self._complaints, 2000, 0).decode(errors="replace").strip()
            self._how = f"{describe_status(code)}: {said}" if said else describe_status(code)
            self._close()
        return self._how


class FreshInterpreter:
    """Starts each worker as a new Python process: slower than the fork server, and needs nothing else."""

    name = "local"
    passes_descriptors = True

    async def launch(self, context: int | None) -> Launched:
        """Start one worker in a new process. Raises `SandboxUnavailable`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            number = theirs.fileno()
            arguments = ["worker", number, number, -1 if context is None else context, os.getpid(), "[]", "[]"]
            command = [sys.executable, *INTERPRETER_OPTIONS, str(WORKER_FOLDER / "start.py"), *map(str, arguments)]
            complaints = os.memfd_create("stderr")
            try:
                # Not in a thread of a pool: the parent-death signal would fire when that thread ends.
                child = subprocess.Popen(  # noqa: ASYNC220
                    command,
                    env=CLEAN_ENVIRONMENT,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    close_fds=True,
                    pass_fds=[number] if context is None else [number, context],
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                os.close(complaints)
                raise SandboxUnavailable(f"no worker can be started with {sys.executable}: {error}") from error
        return Launched(LocalProcess(child, complaints), ours)
