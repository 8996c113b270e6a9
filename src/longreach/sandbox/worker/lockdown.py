"""Puts the layers of isolation around this process, in the one order that works.

Covers: the order, which layers may be missing, and the report. Does not cover: how each layer is made (`namespaces`, `landlock`,
`limits`, `seccomp`). Everything that the worker needs from outside is open or imported before this runs; afterwards nothing more comes in.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass

from . import forks, landlock, limits, namespaces, seccomp
from .first_process import ServerGone, become_first_process
from .libc import die_with_parent, not_dumpable, set_dumpable

__all__ = ["SOFT_LAYERS", "LayerState", "LockdownFailed", "Surroundings", "lock_down", "try_namespaces"]

SOFT_LAYERS = ("namespaces", "landlock")


class LockdownFailed(Exception):
    """A layer that must hold does not: the worker may not start."""


@dataclass(frozen=True)
class LayerState:
    """What is reported of one layer."""

    name: str
    active: bool
    detail: str


def _wanted(name: str, only: list[str] | None) -> bool:
    return only is None or name in only


def _user(number: int = 0) -> LayerState:
    """As root: another user, always. Limits on threads do not hold for root."""
    if os.geteuid() != 0:
        return LayerState("user", False, "not started as root, so it keeps the host's user")
    if not limits.become_nobody(number):
        return LayerState("user", False, "root, and the kernel refused another user id")
    set_dumpable()
    return LayerState("user", True, "an unused user id instead of root")


def try_namespaces() -> str | None:
    """Try the whole layer in a child that is thrown away; None when it works, else why not.

    Half of it must never be done for real. A fork server tries once for all of its workers.
    """
    return namespaces.try_in_child(prepare=_user)


@dataclass(frozen=True)
class Surroundings:
    """What the worker is told about the place where it starts.

    parent: the process whose end ends this one, or None where none can be named. refusal: what `try_namespaces` said.
    scouts: a channel to the host for forks, or None where there shall be none. user: a number for this worker alone, below 2**30.
    heir: a channel to the parent, a fork server, for a process that goes on in this one's place.
    """

    parent: int | None
    refusal: str | None
    scouts: int | None = None
    user: int = 0
    heir: int | None = None


def _namespaces(only: list[str] | None, refusal: str | None, more: int = 0) -> LayerState:
    if not _wanted("namespaces", only):
        return LayerState("namespaces", False, "switched off by the caller")
    if refusal is not None:
        return LayerState("namespaces", False, refusal)
    try:
        return LayerState("namespaces", True, namespaces.enter(more))
    except namespaces.NothingDone as error:
        if more:
            return _namespaces(only, refusal)
        return LayerState("namespaces", False, str(error))
    except (namespaces.NamespacesRefused, OSError, KeyError) as error:
        raise LockdownFailed(f"namespaces worked in the trial and not now: {error}") from error


def _landlock(only: list[str] | None) -> LayerState:
    if not _wanted("landlock", only):
        return LayerState("landlock", False, "switched off by the caller")
    try:
        return LayerState("landlock", True, landlock.install())
    except landlock.LandlockRefused as error:
        return LayerState("landlock", False, str(error))


def _first_to_go() -> None:
    """When the machine runs out of memory the kernel shall end this process before any other."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as adjustment:
        adjustment.write(b"1000")


def _apart(around: Surroundings) -> None:
    """Become the first process of the PID namespace that was made."""
    if around.parent is None or around.heir is None:
        raise LockdownFailed("only a fork server can start a worker in a PID namespace of its own")
    try:
        become_first_process(around.parent, around.heir)
    except (ServerGone, OSError) as error:
        raise LockdownFailed(f"no process of its own in its PID namespace: {error}") from error


def _scout(around: Surroundings, apart: bool) -> LayerState:
    """Let the host decide on forks, where a fork cannot outlive the worker."""
    if around.scouts is None:
        return LayerState("scout", False, "not asked for: forking is refused altogether")
    if not apart:
        return LayerState("scout", False, "no PID namespace, so forking is refused altogether and speculation is off")
    try:
        refusal = forks.ask_host_for_forks(around.scouts)
    except OSError as error:
        raise LockdownFailed(f"the host does not take the worker's forks: {error}") from error
    if refusal is not None:
        return LayerState("scout", False, f"{refusal}; speculation is off")
    return LayerState(
        "scout", True, "one fork at a time, by the host's leave, in a PID namespace that ends with the worker"
    )


def lock_down(memory_bytes: int, only: list[str] | None, around: Surroundings) -> list[LayerState]:
    """Lock this single-threaded process down; the layers as they now are. Raises `LockdownFailed`.

    only: the soft layers to try, or None for all. With scouts another process returns than the one that called.
    """
    if sys.platform != "linux":
        raise LockdownFailed("the seccomp layer exists on Linux only")
    mapped = limits.mapped_bytes()
    os.umask(0o077)
    _first_to_go()
    states = [LayerState("process", True, "clean environment, no inherited descriptors")]
    states.append(_user(around.user))
    states.append(_namespaces(only, around.refusal, 0 if around.scouts is None else namespaces.PROCESSES))
    apart = states[-1].active and "PID" in states[-1].detail
    alone = any(state.active for state in states if state.name in ("user", "namespaces"))
    others = 0 if alone else limits.threads_of_user()
    if apart:
        _apart(around)
    elif around.heir is not None:
        os.close(around.heir)
    states.append(_landlock(only))
    kept = limits.apply(memory_bytes, mapped)
    threads = limits.limit_threads(others)
    states.append(LayerState("limits", True, f"{kept}, {threads}"))
    not_dumpable()
    if not apart:
        die_with_parent()
        if around.parent is not None and os.getppid() != around.parent:
            raise LockdownFailed("the parent ended before the parent-death signal was set")
    states.append(LayerState("parent-death", True, "killed when the host ends"))
    scout = _scout(around, apart)
    try:
        states.append(LayerState("seccomp", True, seccomp.install(scout.active)))
    except seccomp.SeccompRefused as error:
        raise LockdownFailed(str(error)) from error
    states.append(scout)
    return states
