"""What whoever runs the server decides.

Covers: addresses, limits, where state lies, and each process's share when there are several. Does not cover: what one key may do
(`serve.state.values.KeyLimits`).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from longreach.errors import UsageError
from longreach.locations import data_folder
from longreach.runs import Budget, Settings
from longreach.sandbox.factory import UNSAFE, SandboxOptions

__all__ = ["DiskLimits", "ServeSettings", "TimeLimits", "is_loopback", "state_place"]

GIB = 1 << 30
MIB = 1 << 20
NUMBER = "#"  # between the name of a server and the number of one of its processes
_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """What clients may put on the disk, in bytes.

    body: one JSON request. upload: one uploaded context. contexts: all uploads together. free: what must stay free on the disk.
    context_days: an upload that nobody has used for so long makes room when `contexts` is reached.
    """

    body: int = 64 * MIB
    upload: int = 2 * GIB
    contexts: int = 20 * GIB
    free: int = GIB
    context_days: float = 30.0


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: `receive` for the next piece of a body, `send` until a client takes the next piece of a stream, `drain` at shutdown."""

    receive: float = 60.0
    send: float = 60.0
    drain: float = 60.0


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How a server is run.

    models: names and shell-style patterns (`openai/*`) of the models that clients may use; empty: every endpoint whose key is set, and
        the local models whose weights are here. default_model: for a model name that is a strategy alone; by default the first of them.
    fallback: models for calls that have failed for good on theirs, tried in order; clients need not know them.
    run: how runs work where a request does not say: speculation, the cache of replies, which all clients then share, and so on.
    runs: how many work at once. queue: how many more may wait.
    budget: the most of any one run, and what a run gets that asks for nothing.
    bodies: bytes of requests in memory, all together, until the runs that they ask for have ended.
    database: a file, or a postgresql:// URL. instance: tells servers that share one database apart.
    processes: that answer at one address; `runs`, `queue` and `bodies` hold for all together. process: which of them this is, from 1;
        0: all of the server, which is one process alone or those that start the others.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    models: tuple[str, ...] = ()
    default_model: str = ""
    strategy: str = "rlm"
    fallback: tuple[str, ...] = ()
    run: Settings = field(default_factory=Settings)
    runs: int = 64
    queue: int = 256
    bodies: int = GIB
    budget: Budget = field(default_factory=lambda: Budget(seconds=1800, depth=3, steps=60))
    sandbox: SandboxOptions = field(default_factory=SandboxOptions)
    disk: DiskLimits = field(default_factory=DiskLimits)
    time: TimeLimits = field(default_factory=TimeLimits)
    database: str = ""
    instance: str = "server"
    processes: int = 1
    process: int = 0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.instance):  # files are called by it
            raise UsageError(
                f"an instance's name has 1 to 100 letters, digits, '_', '-' and '.': '{self.instance}' has others"
            )
        if not self.process and not 1 <= self.processes <= self.runs:
            raise UsageError(
                f"{self.processes} processes cannot share {self.runs} runs at once: each needs one; raise --runs or lower --processes"
            )
        if self.sandbox.backend == UNSAFE:
            raise UsageError(
                f"a server does not run with the sandbox {UNSAFE!r}: choose one that isolates, e.g. 'local'"
            )

    @property
    def folder(self) -> Path:
        """Where the server keeps what is its own; runs lie where all runs lie."""
        return data_folder() / "serve"

    @property
    def metrics_folder(self) -> Path:
        """Where several processes keep what they count."""
        return self.folder / f"{self.instance}{NUMBER}metrics"

    @property
    def member(self) -> str:
        """What tells this process apart from all others that share the database."""
        return self.member_of(self.process)

    def member_of(self, process: int) -> str:
        """The same of another process of this server."""
        return f"{self.instance}{NUMBER}{process}" if process else self.instance

    def share(self, process: int) -> ServeSettings:
        """What one of several processes works with: an equal part of what may be at once, a remainder going to the first ones."""

        def part(whole: int) -> int:
            return whole // self.processes + (process <= whole % self.processes)

        return replace(self, process=process, runs=part(self.runs), queue=part(self.queue), bodies=part(self.bodies))

    def inherits(self, member: str) -> bool:
        """Whether this process puts right what `member`, which has died, left: itself, and for the first (or only) one those that the
        server no longer has.
        """
        server, _, number = member.partition(NUMBER)
        if server != self.instance or member == self.member:
            return member == self.member
        known = self.process and 1 <= int(number or 0) <= self.processes
        return self.process <= 1 and not known


def state_place(settings: ServeSettings) -> str:
    """The database's file or URL."""
    return settings.database or str(settings.folder / "state.sqlite")


@lru_cache(1_000)
def is_loopback(host: str) -> bool:
    """Whether an address or 'localhost' is this machine's own."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
