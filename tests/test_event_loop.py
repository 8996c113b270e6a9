"""Which event loop a program of ours runs on."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from threading import Barrier, Thread

import pytest

from longreach import event_loop


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_uvloop_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    monkeypatch.delenv(event_loop.CHOICE, raising=False)
    assert event_loop.run(kind_of_loop()) == "uvloop"


def test_the_environment_can_say_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(event_loop.CHOICE, "asyncio")
    assert event_loop.run(kind_of_loop()) == "asyncio"


def test_asyncio_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(event_loop.CHOICE, raising=False)
    monkeypatch.setitem(sys.modules, "uvloop", None)  # importing it fails
    assert event_loop.run(kind_of_loop()) == "asyncio"


def test_it_is_loaded_only_for_a_loop() -> None:
    code = "import sys, longreach.api, longreach.cli; assert 'uvloop' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


async def threshold() -> tuple[int, int, int]:
    return gc.get_threshold()


@pytest.mark.usefixtures("collector")
def test_the_collector_looks_less_often_while_a_loop_runs() -> None:
    gc.set_threshold(700, 10, 10)
    assert event_loop.run(threshold()) == (event_loop.COLLECT_AFTER, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("first", [0, 2 * event_loop.COLLECT_AFTER])
def test_a_collector_that_is_off_or_looks_less_often_still_is_left_alone(first: int) -> None:
    gc.set_threshold(first, 5, 5)
    assert event_loop.run(threshold()) == (first, 5, 5)
    assert gc.get_threshold() == (first, 5, 5)


@pytest.mark.usefixtures("collector")
def test_of_loops_on_several_threads_the_last_one_puts_it_back() -> None:
    gc.set_threshold(700, 10, 10)
    both_run = Barrier(2)
    seen = []

    async def one() -> None:
        both_run.wait()
        seen.append(gc.get_threshold()[0])
        both_run.wait()

    threads = [Thread(target=lambda: event_loop.run(one())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [event_loop.COLLECT_AFTER] * 2
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.usefixtures("collector")
def test_what_somebody_else_sets_meanwhile_stays() -> None:
    async def set_another() -> None:
        gc.set_threshold(5_000, 3, 3)

    event_loop.run(set_another())
    assert gc.get_threshold() == (5_000, 3, 3)
