"""What a supervisor and its processes say to each other.

Covers: the bytes, and what a process is started with. Does not cover: saying them (`serve.supervisor`, `serve.process`).

A socket pair for each process, one byte a message. Its end is the other's death.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from longreach.serve.settings import ServeSettings

__all__ = ["CANCEL", "CONNECTION", "DRAIN", "DRAINED", "LEAVING", "QUIT", "READY", "Start"]

# to a process
CONNECTION = b"c"  # with the descriptor of one that it is to serve
DRAIN = b"d"  # refuse new runs, let those that go on end within their time
CANCEL = b"x"  # end all runs now
QUIT = b"q"  # all processes have drained: end

# from a process
READY = b"r"  # it takes connections
LEAVING = b"l"  # it takes no more
DRAINED = b"e"  # none of its runs is left


@dataclass(frozen=True, slots=True)
class Start:
    """What a process is started with, on its standard input. channel, rates, lock: descriptors that it inherits. secret: by which the
    processes know each other.
    """

    settings: ServeSettings
    channel: int
    rates: int
    lock: int
    log_level: int
    secret: str = field(repr=False)
