"""One of several processes of a server: `python -m longreach.serve.process`, started by `serve.supervisor`.

Covers: taking the connections that the supervisor hands over, listening to the siblings, doing what the supervisor says. Does not cover:
which process gets a connection, starting processes again (`serve.supervisor`).

A signal drains this process alone, and the supervisor starts another; a signal to all of a server's processes, as systemd sends it, comes
from the supervisor too. Its death ends all runs at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import shutil
import socket
import sys
from typing import Any

import uvicorn

from longreach.errors import LongreachError
from longreach.serve.application import create_application
from longreach.serve.channel import CANCEL, CONNECTION, DRAIN, DRAINED, LEAVING, QUIT, READY, Start
from longreach.serve.pages import page_routes
from longreach.serve.server import Server, config_of, run_loop
from longreach.serve.service import Shared
from longreach.serve.settings import ServeSettings
from longreach.serve.shared_rates import SharedRates
from longreach.serve.siblings import sibling_application, socket_place

__all__ = ["main"]

AT_ONCE = 64  # connections taken in one turn of the loop
_CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_log = logging.getLogger("longreach.serve")


class ServerProcess(Server):
    """A server whose connections come from the supervisor."""

    def __init__(self, settings: ServeSettings, channel: socket.socket, shared: Shared) -> None:
        super().__init__(settings, create_application(settings, page_routes(), shared))
        self._channel = channel
        self._sibling_config = config_of(sibling_application(self.application, shared.secret), settings)
        self._sibling_config.lifespan = "off"
        self._adopting: set[asyncio.Task[Any]] = set()
        self._ends_alone = False  # a signal came, and nothing from the supervisor

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Open the parts, then say so."""
        loop = self._loop = asyncio.get_running_loop()
        await uvicorn.Server.startup(self, [])
        self._sibling_config.load()
        folder, path = socket_place(self._settings, self._settings.process)
        try:
            self.servers.append(await loop.create_unix_server(self._sibling_protocol, sock=_own_socket(path)))
        finally:
            os.close(folder)
        loop.add_reader(self._channel, self._read)
        self._channel.send(READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As usual; nothing of this process stays in the folder."""
        asyncio.get_running_loop().remove_reader(self._channel)
        await super().shutdown(sockets)
        folder, path = socket_place(self._settings, self._settings.process)
        _remove(path)
        os.close(folder)

    def stop(self) -> None:
        """A signal: drain."""
        if self._draining is None:
            self._ends_alone = True
            self._channel.send(LEAVING)
            super().stop()

    def drained(self) -> None:
        """The supervisor says when all have come so far; until then clients may ask how their runs ended."""
        if self._ends_alone:
            self.should_exit = True
        else:
            self._channel.send(DRAINED)

    # --- what the supervisor says

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                said, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1, _CLOSE_ON_EXEC)
            except BlockingIOError:
                return
            except OSError:
                said, descriptors = b"", []
            if said == CONNECTION:
                self._adopt(socket.socket(fileno=descriptors[0]))
            elif said == QUIT:
                self.should_exit = True
            elif said in (DRAIN, CANCEL):
                self._end_with_others(said)
            else:
                self._orphaned()
                return

    def _end_with_others(self, said: bytes) -> None:
        if self._ends_alone and self._draining is not None and self._draining.done():
            return  # it is on its way out
        if self._ends_alone:
            self._ends_alone = False
            self._channel.send(READY)  # it answers until all end, though it takes no run
        if said == CANCEL:
            self.cancel()
        elif self._draining is None:
            super().stop()

    def _orphaned(self) -> None:
        _log.error("the supervisor has died: this process ends")
        asyncio.get_running_loop().remove_reader(self._channel)
        shutil.rmtree(self._settings.metrics_folder, ignore_errors=True)
        self._ends_alone = True
        self.cancel()

    def _adopt(self, connection: socket.socket) -> None:
        os.set_inheritable(connection.fileno(), False)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._adopting.add(task)
        task.add_done_callback(self._adopted)

    def _adopted(self, task: asyncio.Task[Any]) -> None:
        self._adopting.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.info("a connection was gone before it could be taken: %s", error)

    def _protocol(self) -> asyncio.Protocol:
        return self._speaking(self.config)

    def _sibling_protocol(self) -> asyncio.Protocol:
        return self._speaking(self._sibling_config)

    def _speaking(self, config: uvicorn.Config) -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _own_socket(path: str) -> socket.socket:
    """A listening Unix socket that nobody but this user can connect to."""
    _remove(path)  # of a process that was killed
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    os.chmod(path, 0o600)
    listening.listen()
    listening.setblocking(False)
    return listening


def _remove(path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)


def main() -> int:
    """Serve until the supervisor says otherwise. Returns 1 after an error, which is in the log."""
    start: Start = pickle.load(sys.stdin.buffer)
    number = start.settings.process
    form = f"%(asctime)s %(levelname)s %(name)s[{number}]: %(message)s"
    logging.basicConfig(level=start.log_level, format=form)
    channel = socket.socket(fileno=start.channel)
    channel.setblocking(False)
    for each in (start.channel, start.rates, start.lock):
        os.set_inheritable(each, False)
    try:
        shared = Shared(SharedRates(start.rates), start.secret)
        run_loop(ServerProcess(start.settings, channel, shared).serve())
    except LongreachError as error:
        _log.error("process %d: %s", number, error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
