"""Batches on Ray: real worker processes, one of them killed; a driver killed; nothing left behind. One cluster for the whole module."""

# ruff: noqa: ASYNC240 a test may wait for its own files and processes

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longreach.cli import main
from longreach.models.script import parse_script
from longreach.models.scripted_server import ScriptedServer
from tests.serve.conftest import write_endpoint

pytestmark = pytest.mark.timeout(300)  # Ray takes its time where much else runs
ROWS = 4
SLOW = 6.0  # seconds, in which Ray starts the workers of all rows that are to be in the midst of a call at once


def rules(last_call: float) -> dict[str, Any]:
    """Each row makes four calls, the last of which takes so many seconds."""
    return {
        "rules": [
            {"role": "root", "turn": 1, "text": "```repl\nprint(llm_query('first ' + context))\n```"},
            {"role": "root", "turn": 2, "text": "```repl\nFINAL(llm_query('second ' + context))\n```"},
            {"role": "sub", "matches": r"first It is (\d+)", "text": "seen {{1}}"},
            {"role": "sub", "matches": r"second It is 0", "text": "it is 0", "latency": min(last_call, SLOW)},
            {"role": "sub", "matches": r"second It is 1", "text": "it is 1", "latency": last_call},
        ]
    }


def processes() -> dict[int, tuple[int, str]]:
    """All that run: parent and command line by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = (parent, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has just ended
    return found


def below(root: int) -> dict[int, str]:
    """The descendants of a process, with their command lines."""
    running = processes()
    found: dict[int, str] = {}
    new = {root}
    while new:
        new = {pid for pid, (parent, _) in running.items() if parent in new}
        found |= {pid: running[pid][1] for pid in new}
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, int]]:
    """A Ray cluster of one node with four slots: its address, and the process that all of it is below."""
    pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="lr-ray-", dir="/tmp")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0", "--num-cpus=4"]
    command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    # no token: the batches of these tests have other homes
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "HOME": folder, "RAY_raylet_start_wait_time_s": "120"}
    head = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert head.stdout is not None
        said = []
        for line in head.stdout:
            said.append(line)
            if found := re.search(r"address='(\S+:\d+)'", line):
                break
        else:
            pytest.fail(f"Ray did not start: {''.join(said)}")
        yield found[1], head.pid
    finally:
        left = below(head.pid)
        head.terminate()
        head.communicate()
        for pid in set(left) & set(processes()):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def batch(folder: Path, home: Path, *options: str) -> subprocess.Popen[str]:
    """The command, about the rows of `write_rows`."""
    line = [sys.executable, "-m", "longreach", "batch", str(folder / "q.jsonl"), "--out", str(folder / "a.jsonl")]
    environment = {**os.environ, "LONGREACH_HOME": str(home), "RAY_AUTH_MODE": "disabled"}
    return subprocess.Popen([*line, "--model", "mine/m", *options], env=environment, stderr=subprocess.PIPE, text=True)


def write_rows(folder: Path) -> None:
    """Two rows about each of two files: as many contexts as files."""
    rows = [{"query": f"number {n}?", "paths": [f"{n // 2}.txt"]} for n in range(ROWS)]
    for n in range(ROWS // 2):
        (folder / f"{n}.txt").write_text(f"It is {n}.")
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def answers(folder: Path) -> dict[int, dict[str, Any]]:
    path = folder / "a.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert len(rows) == len({row["row"] for row in rows})
    return {row["row"]: row for row in rows}


async def test_rows_of_a_killed_worker_run_again_and_nothing_answered_is_paid_twice(
    cluster: tuple[str, int], tmp_path: Path, longreach_home: Path
) -> None:
    address, head = cluster
    write_rows(tmp_path)
    async with ScriptedServer(parse_script(rules(SLOW))) as model:
        write_endpoint(longreach_home, model.base_url, (1, 1))
        limits = ("--rows", "3", "--calls", "8", "--total-calls", "24", "--total-usd", "9")
        command = batch(tmp_path, longreach_home, "--ray", address, *limits)
        try:
            await until(command, lambda: model.in_flight == 3)  # each row in the midst of a call
            workers = [pid for pid, line in below(head).items() if line.startswith("ray::_ask_in_worker")]
            assert len(workers) == 3
            sandboxes = below(workers[0])
            assert sandboxes  # its fork server at least
            os.kill(workers[0], signal.SIGKILL)
            _, said = await asyncio.to_thread(command.communicate)
        finally:
            command.kill()
        answered = Counter(each.messages[-1].content for each in model.asked if each.outcome == "answered")
        unanswered = [each for each in model.asked if each.outcome != "answered"]
    assert command.returncode == 0, said
    rows = answers(tmp_path)
    assert {number: row["text"] for number, row in rows.items()} == {n + 1: f"it is {n // 2}" for n in range(ROWS)}
    assert all(row["status"] == "complete" for row in rows.values())
    # two rows have the same sub-calls, and no two the same root calls; the one in flight at the kill was not answered
    assert all(count <= 1 + text.startswith(("first", "second")) for text, count in answered.items()), answered
    assert (answered.total(), len(unanswered)) == (ROWS * 4, 1)
    spent = sum(row["usage"]["calls"] + row["usage"]["unconfirmed_calls"] for row in rows.values())
    assert spent <= 24
    assert f"{spent} calls" in said
    left = set(sandboxes) & set(processes())
    assert not left  # the dead worker's sandboxes went with it


async def test_a_total_that_is_spent_leaves_rows_for_another_time(
    cluster: tuple[str, int], tmp_path: Path, longreach_home: Path
) -> None:
    write_rows(tmp_path)
    rule = {"matches": r"number (\d+)\?", "text": "{{1}}", "usage": {"input_tokens": 900, "output_tokens": 100}}
    async with ScriptedServer(parse_script({"rules": [rule]})) as model:
        write_endpoint(longreach_home, model.base_url, (1, 1))
        place = ("--strategy", "direct", "--ray", cluster[0], "--rows", "4")
        command = batch(tmp_path, longreach_home, *place, "--total-calls", "3")
        _, said = await asyncio.to_thread(command.communicate)
    assert command.returncode == 3
    assert "1 rows are left" in said
    assert (len(model.asked), len(answers(tmp_path))) == (3, 3)
    assert sum(Decimal(row["cost_usd"]) for row in answers(tmp_path).values()) == Decimal("0.003")


async def test_a_local_ray_ends_with_its_driver_and_the_next_one_goes_on(tmp_path: Path, longreach_home: Path) -> None:
    pytest.importorskip("ray")
    write_rows(tmp_path)
    # the last two rows are never answered before the driver is killed, however long its workers live on
    async with ScriptedServer(parse_script(rules(3600.0))) as model:
        write_endpoint(longreach_home, model.base_url, (1, 1))
        command = batch(tmp_path, longreach_home, "--ray", "--rows", "2")
        await until(command, lambda: len(answers(tmp_path)) > 0)
        started = below(command.pid)
        assert sum("raylet" in line for line in started.values()) >= 1
        command.kill()
        await asyncio.to_thread(command.communicate)
        # its agents notice later that they are alone
        await gone({pid: line for pid, line in started.items() if "Agent" not in line})
        for line in started.values():
            for folder in re.findall(r"/tmp/lr-ray-\w+", line):
                shutil.rmtree(folder, ignore_errors=True)  # a killed process leaves its files
        model.script = parse_script(rules(0.5))
        before = len(model.asked)
        assert 0 < len(answers(tmp_path)) < ROWS
        command = batch(tmp_path, longreach_home, "--ray", "--rows", "2")
        await until(command, lambda: len(model.asked) > before)
        started = below(command.pid)
        _, said = await asyncio.to_thread(command.communicate)
        assert command.returncode == 0, said
        await gone(started)
        assert ROWS * 4 <= len(model.asked) <= ROWS * 4 + 2  # those in flight at the kill
    assert {row["text"] for row in answers(tmp_path).values()} == {f"it is {n}" for n in range(ROWS // 2)}
    folders = {folder for line in started.values() for folder in re.findall(r"/tmp/lr-ray-\w+", line)}
    assert folders
    assert not any(Path(folder).exists() for folder in folders)


async def until(command: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    """Wait for something that the command brings about."""
    while not holds():
        assert command.poll() is None, command.communicate()[1]
        await asyncio.sleep(0.01)


async def gone(pids: dict[int, str]) -> None:
    """Wait until none of these processes is left."""
    until = time.monotonic() + 60
    while left := set(pids) & set(processes()):
        assert time.monotonic() < until, [pids[pid] for pid in left]
        await asyncio.sleep(0.05)


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, longreach_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    status = main(["batch", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "a.jsonl"), "--ray"])
    assert status != 0
    assert "pip install 'longreach[ray]'" in capsys.readouterr().err
    assert (tmp_path / "a.jsonl").read_text() == ""


def test_where_no_cluster_is_it_says_so_at_once(
    tmp_path: Path, longreach_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    write_rows(tmp_path)
    status = main(["batch", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "a.jsonl"), "--ray", "127.0.0.1:9"])
    assert status == 2
    assert "there is no Ray at 127.0.0.1:9" in capsys.readouterr().err
