"""Several processes that serve at one address.

Covers: starting them, and again when they die; handing each new connection to the next of them; an orderly end. Does not cover: what a
process does (`serve.process`), what they share (`serve.state`, `serve.shared_rates`, `serve.siblings`).

A kept connection stays with the process that has it, so connections are dealt out in turn: those that the kernel spreads, by hash or to
whoever wakes first, are uneven. This process imports no web framework and does nothing a request.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import pickle
import secrets
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from longreach.errors import LongreachError, UsageError
from longreach.serve.channel import CANCEL, CONNECTION, DRAIN, DRAINED, LEAVING, QUIT, READY, Start
from longreach.serve.instance_lock import lock_instance
from longreach.serve.listening import check_keys, listen, url_of
from longreach.serve.settings import ServeSettings

__all__ = ["run"]

STEADY_SECONDS = 60.0  # a process that lived for so long has not failed again, but anew
MOST_FAILURES = 5
AGAIN_SECONDS = 0.2  # before a process that died is started again; doubled each time
BUSY_SECONDS = 0.005  # until processes that have many connections to take are asked again
COMMAND = (sys.executable, "-P", "-m", "longreach.serve.process")
LAST_SECONDS = 20.0  # beyond draining, until processes that have not ended are killed
_log = logging.getLogger("longreach.serve")


def run(settings: ServeSettings) -> None:
    """Serve with `settings.processes` processes until a signal. Raises `UsageError`, and `LongreachError` when one cannot be kept up."""
    if sys.platform == "win32":
        raise UsageError("several processes cannot share connections on Windows: leave out --processes")
    asyncio.run(_run(settings))


async def _run(settings: ServeSettings) -> None:
    from longreach.serve.shared_rates import new_table

    lock = lock_instance(settings)
    rates = None
    try:
        await check_keys(settings)
        _clear(settings)
        settings.metrics_folder.mkdir(mode=0o700)
        rates = new_table(settings.folder)
        listening = await listen(settings)
        try:
            await _Supervisor(settings, listening, (rates, lock)).serve()
        finally:
            for each in listening:
                each.close()
            _clear(settings)
    finally:
        os.close(lock)
        if rates is not None:
            os.close(rates)


def _clear(settings: ServeSettings) -> None:
    shutil.rmtree(settings.metrics_folder, ignore_errors=True)


@dataclass(eq=False)
class _Child:
    """A process. `came_up`: it was ready once."""

    number: int
    process: asyncio.subprocess.Process
    channel: socket.socket
    came_up: bool = False
    drained: bool = False


class _Supervisor:
    """The processes of one server. shared: descriptors of the table of rates and of the server's lock."""

    def __init__(self, settings: ServeSettings, listening: list[socket.socket], shared: tuple[int, int]) -> None:
        self._settings = settings
        self._listening = listening
        self._shared = shared
        self._secret = secrets.token_hex()
        self._children: dict[int, _Child] = {}
        self._ready: list[_Child] = []  # the next one to get a connection first
        self._some_ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._told = False

    async def serve(self) -> None:
        """Until all processes have ended, after a signal. Raises `LongreachError` when one cannot be kept up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        keeping = [asyncio.create_task(self._keep(each)) for each in range(1, self._settings.processes + 1)]
        accepting = [asyncio.create_task(self._accept(each)) for each in self._listening]
        try:
            done, _ = await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
            for kept in done:
                kept.result()
        finally:
            if not self._stopping.is_set():  # one could not be kept up
                self._stopping.set()
                self._tell_all(CANCEL)
            _, late = await asyncio.wait(keeping, timeout=LAST_SECONDS)
            if late:
                self._kill()
                await asyncio.wait(late)
            for taking in accepting:
                taking.cancel()
            await asyncio.wait(accepting)

    # --- processes

    async def _keep(self, number: int) -> None:
        """One process, started again whenever it ends by itself."""
        failures = 0
        while True:
            began = time.monotonic()
            child = await self._start(number)
            status = await child.process.wait()
            self._gone(child)
            if self._stopping.is_set():
                return
            if status == 0 and child.came_up:  # a signal to this one alone
                _log.info("process %d (%d) was told to end: another takes its place", number, child.process.pid)
                continue
            failures = 1 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            if failures > MOST_FAILURES or not (child.came_up or failures > 1):
                told = (
                    "did not start"
                    if not child.came_up
                    else f"ended {failures} times within {STEADY_SECONDS:g} seconds"
                )
                raise LongreachError(f"process {number} of the server {told} (exit status {status}): the log says why")
            _log.error("process %d (%d) ended with status %d: it is started again", number, child.process.pid, status)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS * 2 ** (failures - 1)):
                    await self._stopping.wait()
                    return

    async def _start(self, number: int) -> _Child:
        rates, lock = self._shared
        own, its = socket.socketpair()
        own.setblocking(False)
        with its:
            # a process group of its own: Ctrl-C is for the supervisor alone, which tells the others
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(its.fileno(), rates, lock),
                process_group=0,
                env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self._settings.metrics_folder)},
            )
            start = Start(
                self._settings.share(number), its.fileno(), rates, lock, logging.getLogger().level, self._secret
            )
        child = self._children[number] = _Child(number, process, own)
        asyncio.get_running_loop().add_reader(own, self._hear, child)
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(start))
        process.stdin.close()
        if self._stopping.is_set():
            self._tell(child, DRAIN)
        return child

    def _hear(self, child: _Child) -> None:
        """What a process says."""
        try:
            said = child.channel.recv(64)
        except OSError:
            said = b""
        for each in (said[at : at + 1] for at in range(len(said))):
            if each == READY:
                self._came_up(child)
            elif each == LEAVING:
                self._leaves(child)
            elif each == DRAINED:
                child.drained = True
                self._quit_when_all_drained()
        if not said:
            asyncio.get_running_loop().remove_reader(child.channel)
            self._leaves(child)

    def _came_up(self, child: _Child) -> None:
        child.came_up = True
        if child not in self._ready:
            self._ready.append(child)
        self._some_ready.set()
        if not self._told and len(self._ready) == self._settings.processes:
            self._told = True
            url = url_of(self._listening[0])
            print(f"Longreach serves on {url}/v1 with {self._settings.processes} processes", flush=True)

    def _leaves(self, child: _Child) -> None:
        if child in self._ready:
            self._ready.remove(child)
        if not self._ready:
            self._some_ready.clear()

    def _gone(self, child: _Child) -> None:
        """A process has ended."""
        self._leaves(child)
        asyncio.get_running_loop().remove_reader(child.channel)
        child.channel.close()
        del self._children[child.number]
        for counted in self._settings.metrics_folder.glob(f"gauge_live*_{child.process.pid}.db"):
            counted.unlink(missing_ok=True)  # what it was at just now; what it had counted stays
        self._quit_when_all_drained()

    # --- the end

    def _stop(self) -> None:
        """A signal: the first drains, another cancels what is left. Processes that do not end in time are killed."""
        again = self._stopping.is_set()
        self._stopping.set()
        self._tell_all(CANCEL if again else DRAIN)
        loop = asyncio.get_running_loop()
        loop.call_later((0 if again else self._settings.time.drain) + LAST_SECONDS, self._kill)

    def _quit_when_all_drained(self) -> None:
        if self._stopping.is_set() and all(child.drained for child in self._children.values()):
            self._tell_all(QUIT)

    def _tell_all(self, said: bytes) -> None:
        for child in self._children.values():
            self._tell(child, said)

    def _tell(self, child: _Child, said: bytes) -> None:
        with suppress(OSError):  # it is dead, or has been sent more than it takes and will be killed
            child.channel.send(said)

    def _kill(self) -> None:
        for child in self._children.values():
            _log.error("process %d (%d) does not end: it is killed", child.number, child.process.pid)
            with suppress(ProcessLookupError):
                child.process.kill()

    # --- connections

    async def _accept(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        while True:
            await self._some_ready.wait()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:  # too many open files, say
                _log.error("no connection can be taken: %s", error)
                await asyncio.sleep(1)
                continue
            with connection:
                await self._hand_over(connection)

    async def _hand_over(self, connection: socket.socket) -> None:
        """Give a connection to the next process that can take it."""
        while True:
            await self._some_ready.wait()
            for child in tuple(self._ready):
                self._ready.append(self._ready.pop(self._ready.index(child)))
                try:
                    socket.send_fds(child.channel, [CONNECTION], [connection.fileno()])
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS):
                        self._leaves(child)
                else:
                    return
            await asyncio.sleep(BUSY_SECONDS)
