"""The host's leave for a worker's forks, and what the forks say.

Covers: answering the kernel's question about each fork, at most one scout, ending it, its messages as whole payloads. Does not cover: what
a scout's prompts lead to (`look_ahead`), the worker's side (`worker.forks`, `worker.scouting`).

Nothing here believes the worker: whether it has a child the kernel says (its `children` file in /proc), who sent a message too. Only the
worker's first thread may fork, so that a fork which is asked for finds every earlier one done.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

if sys.platform != "win32":  # this module is imported everywhere, and used on Linux
    import fcntl

__all__ = ["Hello", "NoScouts", "Scouts", "hear_hello"]

RECEIVE, ANSWER = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
QUESTION, REPLY = "QIIiIQ6Q", "QqiI"
CONTINUE, EPERM = 1, 1
MOST_REFUSED = 256  # forks of one worker: then the host stops listening, and the kernel refuses at no cost
MOST_MESSAGES = 4_000  # of one generation
MESSAGES_AT_ONCE = 16  # then others have their turn
MESSAGE_BYTES = 64 << 10
HEADER = ">IB"
SWEEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.3,
)  # seconds until another look for a scout that was not there yet
CREDENTIALS = struct.Struct("3i")
TRUNCATED = 0x20  # Linux's MSG_TRUNC; as an enumeration it takes ten times as long


class NoScouts(Exception):
    """This worker's forks cannot be watched from here."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker's first message: its process id as the kernel says it, one descriptor for it, and one by which its forks are answered."""

    worker: int
    descriptor: int
    listener: int | None


def hear_hello(channel: socket.socket) -> Hello:
    """What a worker in a PID namespace said on its channel for scouts. Raises `NoScouts`."""
    worker, listener = 0, None
    try:
        _, ancillary, _, _ = channel.recvmsg(MESSAGE_BYTES, 256, socket.MSG_DONTWAIT)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                worker = CREDENTIALS.unpack(data)[0]
            elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                (listener,) = struct.unpack("i", data[:4])
        descriptor = os.pidfd_open(worker)
    except (OSError, ValueError) as error:
        if listener is not None:
            os.close(listener)
        raise NoScouts(f"the worker did not say which process it is: {error}") from error
    return Hello(worker, descriptor, listener)


class Scouts:
    """The forks of one worker. Belongs to one event loop."""

    def __init__(self, channel: socket.socket, hello: Hello, most_bytes: int) -> None:
        """Take over the channel and the descriptor of forks. Raises `NoScouts`.

        most_bytes: of the worker's own memory, above which it is not forked: a scout may come to hold as much again.
        """
        self._most_bytes = most_bytes
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        if hello.listener is None:
            raise NoScouts("the worker sent no descriptor of its forks")
        self.worker, self._listener = hello.worker, hello.listener
        try:
            self._children_of_worker = os.open(f"/proc/{self.worker}/task/{self.worker}/children", os.O_RDONLY)
        except OSError as error:
            os.close(self._listener)
            raise NoScouts(f"the kernel does not say which children the worker has: {error.strerror}") from error
        os.set_inheritable(self._listener, False)
        channel.setblocking(False)
        self._expected = False
        self.listening = False
        self._hear: Callable[[bytes], None] | None = None
        self._generation = 0
        self._scout = 0
        self._messages = 0
        self._pieces = bytearray()
        self._cap = 0
        self._refused = 0
        self._sweeping: asyncio.TimerHandle | None = None
        self.forked = 0
        """How often the worker was let."""
        self._state_of_worker = os.open(f"/proc/{self.worker}/task/{self.worker}/stat", os.O_RDONLY)
        self._descriptor = os.dup(hello.descriptor)
        self._loop.add_reader(self._listener, self._question)

    # --- what the conversation does

    def invite(self, hear: Callable[[bytes], None], cap: int) -> int | None:
        """Expect one fork from now on; its generation, or None when the last scout is not gone yet, or the worker has grown too large.

        hear: called with each payload of the scout, of at most `cap` bytes.
        """
        if self._listener < 0 or self._own_bytes() > self._most_bytes:
            return None
        if self.living():
            self._kill()
            return None
        self._generation += 1
        self._expected, self._hear, self._cap = True, hear, cap
        self._scout = self._messages = 0
        self._pieces.clear()
        return self._generation

    def dismiss(self) -> None:
        """End the scout, and expect none."""
        self._expected = False
        if self._hear is None:
            return
        self._hear = None
        self.listen(False)
        self._sweep(SWEEPS)

    def present(self) -> bool:
        """Whether there is a scout that may have more to say."""
        return self._hear is not None and (self._expected or not self.listening or bool(self.living()))

    def listen(self, wanted: bool) -> None:
        """Take in what the scout says, or let it wait. Nothing while there is none."""
        wanted = wanted and self._hear is not None and not self._expected
        if wanted and not self.listening:
            self._loop.add_reader(self._channel, self._messages_wait)
        elif self.listening and not wanted:
            self._loop.remove_reader(self._channel)
        self.listening = wanted

    def _own_bytes(self) -> int:
        """What the worker holds for itself, the context left out; 0 for one that has ended."""
        try:
            with open(f"/proc/{self.worker}/statm", encoding="ascii") as file:
                _, resident, shared, *_ = map(int, file.read().split())
        except OSError:
            return 0
        return (resident - shared) * mmap.PAGESIZE

    def living(self) -> list[int]:
        """Process ids of the worker's children."""
        try:
            return [int(pid) for pid in os.pread(self._children_of_worker, 4096, 0).split()]
        except OSError:  # the worker has ended
            return []

    def close(self) -> None:
        """Let go of everything: from here on the worker cannot fork. May be called twice."""
        self.dismiss()
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._stop_listening()
        if self._children_of_worker >= 0:
            self._channel.close()
            for descriptor in (self._children_of_worker, self._state_of_worker, self._descriptor):
                os.close(descriptor)
            self._children_of_worker = -1

    # --- the kernel's questions

    def _question(self) -> None:
        look = select.poll()
        look.register(self._listener, select.POLLIN)
        if not any(events & select.POLLIN for _, events in look.poll(0)):
            self._stop_listening()  # the worker has ended; asking the kernel now could block
            return
        asked = bytearray(struct.calcsize(QUESTION))
        try:
            fcntl.ioctl(self._listener, RECEIVE, asked)
        except OSError:  # whoever asked has ended
            return
        number, pid, *_ = struct.unpack(QUESTION, asked)
        allowed = self._expected and pid == self.worker and not self.living()
        if allowed:
            self._expected = False
            self.forked += 1
            self.listen(True)
        answer = struct.pack(REPLY, number, 0, 0 if allowed else -EPERM, CONTINUE if allowed else 0)
        try:
            fcntl.ioctl(self._listener, ANSWER, answer)
        except (
            OSError
        ):  # it has ended meanwhile, or the kernel (before 5.5) cannot let a call go on: nobody may wait for ever
            allowed = False
            with suppress(OSError):
                fcntl.ioctl(self._listener, ANSWER, struct.pack(REPLY, number, 0, -EPERM, 0))
        if not allowed:
            self._refused += 1
            if self._refused >= MOST_REFUSED:
                self._stop_listening()

    def _stop_listening(self) -> None:
        if self._listener >= 0:
            self._loop.remove_reader(self._listener)
            os.close(self._listener)
            self._listener = -1

    # --- the scout's messages

    def _messages_wait(self) -> None:
        """Take in a few of the messages that are there."""
        for _ in range(MESSAGES_AT_ONCE):
            if not self.listening or not self._take_message():
                return

    def _take_message(self) -> bool:
        """Whether there was one."""
        try:
            data, ancillary, flags, _ = self._channel.recvmsg(MESSAGE_BYTES, 256)
        except OSError:
            return False
        for level, kind, more in ancillary:  # nobody here may send descriptors; take none
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for (descriptor,) in struct.iter_unpack("i", more[: len(more) // 4 * 4]):
                    os.close(descriptor)
        self._messages += 1
        if not data or flags & TRUNCATED or self._messages > MOST_MESSAGES:
            self.dismiss()
        elif self._hear is not None and self._from_scout(ancillary, data):
            self._take(data)
        return True

    def _from_scout(self, ancillary: list[tuple[int, int, bytes]], data: bytes) -> bool:
        """Whether the scout of this generation sent it; not an earlier one, and not the worker itself."""
        if len(data) < struct.calcsize(HEADER) or struct.unpack_from(HEADER, data)[0] != self._generation:
            return False
        senders = [CREDENTIALS.unpack(x)[0] for _, kind, x in ancillary if kind == socket.SCM_CREDENTIALS]
        if not senders or senders[0] == self.worker:
            return False
        # A sender that has ended since is no child any more; what it said counts as long as no other one did.
        self._scout = self._scout or senders[0]
        return bool(senders[0] == self._scout)

    def _take(self, data: bytes) -> None:
        more = struct.unpack_from(HEADER, data)[1]
        self._pieces += memoryview(data)[struct.calcsize(HEADER) :]
        if len(self._pieces) > self._cap:
            self.dismiss()
            return
        if more:
            return
        payload = bytes(self._pieces)
        self._pieces.clear()
        assert self._hear is not None
        self._hear(payload)

    # --- ending it

    def _first_thread_ended(self) -> bool:
        """Whether the worker goes on without its first thread: its children are then another's, and not to be found."""
        try:
            return os.pread(self._state_of_worker, 4096, 0).rpartition(b")")[2].split()[0] in (b"Z", b"X")
        except OSError:
            return False

    def _kill(self) -> None:
        if self._first_thread_ended():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)  # and with it all of its namespace
        for pid in self.living():
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:
                continue
            try:
                # The number may have gone to another process before the descriptor was opened; a child it is not then.
                if pid in self.living():
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            except ProcessLookupError:
                continue
            finally:
                os.close(descriptor)

    def _sweep(self, later: tuple[float, ...]) -> None:
        """Kill what is there, and look again: a fork that was allowed may not have happened yet."""
        if self._expected or self._hear is not None or self._children_of_worker < 0:
            return  # there is a new one, and it is wanted
        self._kill()
        if later:
            self._sweeping = self._loop.call_later(later[0], self._sweep, later[1:])
