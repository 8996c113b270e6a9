"""The 'wasm' backend: what is special about it. What all backends share is in `test_conformance`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from longreach.context import Context
from longreach.errors import ContextTooLarge, SandboxUnavailable, SnapshotMismatch
from longreach.sandbox import Limits, Sandbox
from longreach.sandbox.backends import wasm as wasm_backend
from longreach.sandbox.backends.wasm import PYTHON_VARIABLE, find_python
from longreach.sandbox.factory import SandboxOptions, open_sandbox

pytestmark = pytest.mark.usefixtures("wasm_cache")
LONG = "ä" * (9 << 20)  # as UTF-8, and as an answer, more than the mailbox holds
PARTS = {"latin-1": "caf\xe9 " * 10, "two bytes": "d\u0101ta " * 10, "lone": "\ud800 x", "four": "\U0001f600" * 10}
BIG = Context.from_parts({**PARTS, "long": "x" * (3 << 20)})  # 12 MB as it lies in memory: the mailbox goes round


async def answer(parameters: Mapping[str, Any]) -> Any:
    return LONG if parameters["prompt"] == "long" else parameters["prompt"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(wasm: str, wasm_cache: None) -> AsyncIterator[Sandbox]:
    """One session for several tests."""
    session = open_sandbox(SandboxOptions("wasm", python=wasm))
    await session.start(BIG, {"llm_query": answer, "rank": answer}, Limits(memory_bytes=128 << 20))
    yield session
    await session.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_context_arrives_whole(sandbox: Sandbox) -> None:
    code = (
        f"[context[name] == text for name, text in {PARTS!r}.items()], len(context), context['long'] == 'x' * (3 << 20)"
    )
    assert (await sandbox.run(code, 20)).output == f"({[True] * 4}, {len(BIG)}, True)\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_answers_longer_than_the_mailbox(sandbox: Sandbox) -> None:
    code = (
        "answers = [llm_query('long') for _ in range(2)]\nanswers[1] == '\\xe4' * (9 << 20), answers[0] == answers[1]"
    )
    assert (await sandbox.run(code, 20)).output == "(True, True)\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_what_it_lacks_is_said(sandbox: Sandbox) -> None:
    code = """
import threading, asyncio
for attempt in (lambda: threading.Thread(target=print).start(), lambda: asyncio.run(asyncio.to_thread(print)), lambda: __import__('numpy')):
    try:
        attempt()
    except (RuntimeError, ImportError) as error:
        print(error)
"""
    assert (await sandbox.run(code, 20)).output == "can't start new thread\n" * 2 + "No module named 'numpy'\n"
    assert not sandbox.report.active("seccomp")


@pytest.mark.asyncio(loop_scope="module")
async def test_snapshots_belong_to_its_python(sandbox: Sandbox) -> None:
    with pytest.raises(SnapshotMismatch, match="cpython-312"):
        await sandbox.restore(b"longreach snapshot 1 cpython-312\n" + bytes(40))


@pytest.mark.asyncio(loop_scope="module")
async def test_what_ends_pyeryx_ends_the_worker_alone(sandbox: Sandbox) -> None:
    await sandbox.run("kept = 'kept'", 20)
    await sandbox.snapshot()
    nested = "x = []\nfor _ in range(200_000):\n    x = [x]\nstr(x)"
    assert (await sandbox.run(nested, 20)).status == "died"
    # It controls all of its side: here it leaves the REPL with an error of its own, which would clear a terminal.
    leave = "import sys\ndef leave(*_):\n    raise RuntimeError('\\x1b[2J gone')\nsys.modules['worker.channel'].Channel.close_step = leave"
    seen = await sandbox.run(leave, 20)
    assert seen.status == "died"
    assert seen.error is not None
    assert r"\x1b[2J gone" in seen.output
    assert "\x1b" not in seen.output + seen.error.message
    assert (await sandbox.run("print(kept)", 20)).output == "kept\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lie_about_what_was_read_hurts_the_worker_alone(sandbox: Sandbox) -> None:
    told = [b"x" * 100_000, b"9" * 30 + b"\n", b"999999999999999\n", b"-5\n", b"\xff\n"]
    lies = f"import os\nfor lie in {told!r}:\n    os.write(2, lie)\n"
    await sandbox.run(lies + "llm_query('long')", 5)
    await sandbox.run("1", 5)
    assert (await sandbox.run("2", 20)).output == "2\n"


async def test_the_memory_of_its_process_is_bounded_too(wasm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm_backend, "PROCESS_BYTES", 0)
    session = open_sandbox(SandboxOptions("wasm", python=wasm))
    await session.start(Context.from_text("x"), {}, Limits(memory_bytes=256 << 20))
    # What is said past the REPL is not even kept.
    said = "import _eryx\nfor _ in range(1000):\n    _eryx._eryx_report_output(0, b'\\x1b[2J' * 250_000)"
    assert (await session.run(said, 20)).status == "ok"
    fill = "try:\n    while True:\n        many.append(b'x' * (8 << 20))\nexcept MemoryError:\n    time.sleep(10)\n"
    seen = await session.run(f"import time\nmany = []\n{fill}", 20)
    await session.close()
    assert seen.status == "died"
    assert seen.error is not None
    assert "it made its process hold more than" in seen.error.message


async def test_a_system_without_memory_files(wasm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("memfd_create", "pread", "pwrite", "pidfd_open"):
        monkeypatch.delattr(os, name)
    session = open_sandbox(SandboxOptions("wasm", python=wasm))
    await session.start(Context.from_text("d\u0101ta " * 1000), {}, Limits())
    assert (await session.run("len(context), context[:6]", 20)).output == "(5000, 'd\u0101ta d')\n"
    await session.close()


def test_nothing_of_linux_is_needed_to_import_it() -> None:
    code = """
import asyncio, subprocess, tempfile, shutil, zipfile, socket, signal, sys
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
sys.platform = "win32"
from longreach.sandbox.backends import wasm
from longreach.errors import SandboxUnavailable
from longreach.sandbox.factory import SandboxOptions, open_sandbox
try:
    open_sandbox(SandboxOptions())
except SandboxUnavailable as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert "this is win32" in done.stdout
    assert "'wasm'" in done.stdout


async def test_a_context_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm_backend, "MOST_MEMORY", 97 << 20)
    session = open_sandbox(SandboxOptions("wasm", python=sys.executable))
    with pytest.raises(ContextTooLarge, match="fewer files"):
        await session.start(Context.from_text("x" * (1 << 20)), {}, Limits())
    await session.close()


def test_which_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(wasm_backend, "OLDEST_PYTHON", (9, 0))
    with pytest.raises(
        SandboxUnavailable, match=rf"needs Python 3.12 or later, and this is 3\.\d+:.*{PYTHON_VARIABLE}"
    ):
        find_python()
    with pytest.raises(SandboxUnavailable, match="no-such-python"):
        find_python("no-such-python")
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    assert find_python() == sys.executable


async def test_a_python_without_pyeryx(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -I -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    session = open_sandbox(SandboxOptions("wasm", python=str(python)))
    with pytest.raises(SandboxUnavailable, match=r"has no pyeryx.*longreach\[wasm\]"):
        await session.start(Context.from_text("x"), {}, Limits())
    await session.close()


async def test_machine_code_that_others_could_write(wasm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGREACH_CACHE", str(tmp_path))
    (tmp_path / "wasm").mkdir()
    (tmp_path / "wasm").chmod(0o777)
    session = open_sandbox(SandboxOptions("wasm", python=wasm))
    with pytest.raises(SandboxUnavailable, match="others can write"):
        await session.start(Context.from_text("x"), {}, Limits())
    await session.close()
