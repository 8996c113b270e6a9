"""One server of a name at a time.

Covers: the lock that a server holds on its name for as long as any of its processes lives. Does not cover: what it keeps apart (runs of a
dead process, uploads on their way). A second server of the same name would take the first one's runs for those of a dead process.
"""

from __future__ import annotations

import os
import sys
import time

from longreach.errors import UsageError
from longreach.locks import try_lock
from longreach.serve.settings import ServeSettings

__all__ = ["lock_instance"]

ENDING_SECONDS = 20.0  # for the processes of a server that was killed to end their runs
LOOK_SECONDS = 0.05


def lock_instance(settings: ServeSettings) -> int:
    """The open lock file of this instance. Raises `UsageError` when a server of this name runs. One whose processes are just ending, since
    it was killed, is waited for.
    """
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(settings.folder / f"{settings.instance}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + ENDING_SECONDS
    while not try_lock(lock):
        if _holder_lives(lock) or time.monotonic() > until:
            os.close(lock)
            raise UsageError(
                f"a server named '{settings.instance}' runs here already: stop it, or give this one its own --instance NAME"
            )
        time.sleep(LOOK_SECONDS)
    os.ftruncate(lock, 0)
    os.lseek(lock, 0, os.SEEK_SET)
    os.write(lock, b"%d" % os.getpid())
    return lock


def _holder_lives(lock: int) -> bool:
    if sys.platform == "win32":
        return True  # there a server is one process, whose end frees the lock
    try:
        os.lseek(lock, 0, os.SEEK_SET)
        os.kill(int(os.read(lock, 20)), 0)
    except ValueError:
        return True  # it is just writing its number
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
