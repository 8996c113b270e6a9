"""Which event loop a program of ours runs on."""

from __future__ import annotations

import asyncio
import subprocess
import sys

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
