# ruff: noqa: ASYNC110, ASYNC240 - /proc is no disk, and processes end when they do
"""Scouts: what they find out, what they leave untouched, and that a fork which the host did not expect never happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from longreach.context import Context
from longreach.sandbox import CallFailed, Limits, Sandbox
from longreach.sandbox.conversation import Conversation
from longreach.sandbox.factory import open_sandbox
from longreach.sandbox.worker.scouting import Placeholder
from tests.sandbox.test_processes import descendants

SOURCE = Path(__file__).resolve().parents[2] / "src"
FORK = """
import ctypes, os
def attempt(make):
    try:
        made = make()
    except OSError as error:
        return type(error).__name__
    if made == 0:
        os._exit(0)
    return 'forked'
"""


class Foreseeing:
    """Answers after a while, and remembers what it was asked and told. before: by prompt, what must be foreseen first, however long."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.foreseen: list[str] = []
        self.before: dict[str, set[str]] = {}
        self.most = 8
        self.seconds = 0.1

    async def __call__(self, arguments: Mapping[str, Any], /) -> Any:
        self.asked.append(arguments["prompt"])
        while not self.before.get(arguments["prompt"], set()) <= set(self.foreseen):
            await asyncio.sleep(0.002)
        await asyncio.sleep(self.seconds)
        if arguments["prompt"] == "fail":
            raise CallFailed("failed")
        return str(len(self.asked))

    def room(self) -> int:
        return self.most - len(self.foreseen)

    def ahead(self, arguments: Mapping[str, Any]) -> None:
        self.foreseen.append(arguments["prompt"])

    def ready(self, arguments: Mapping[str, Any]) -> None: ...

    def peek(self, arguments: Mapping[str, Any]) -> str | None: ...


class Knowing(Foreseeing):
    """One that knows some answers before they are asked for."""

    def ready(self, arguments: Mapping[str, Any]) -> Any:
        if arguments["prompt"] == "break":
            raise OSError("no space left")
        return "known" if arguments["prompt"].startswith("k") else None


@pytest.fixture
def handler() -> Foreseeing:
    return Foreseeing()


async def started(handler: Foreseeing) -> Sandbox:
    sandbox = open_sandbox()
    await sandbox.start(Context.from_text("some text"), {"llm_query": handler}, Limits(memory_bytes=128 << 20))
    if not sandbox.report.active("scout"):
        await sandbox.close()
        pytest.skip(next(each.detail for each in sandbox.report.layers if each.name == "scout"))
    return sandbox


@pytest_asyncio.fixture
async def sandbox(handler: Foreseeing) -> AsyncIterator[Sandbox]:
    session = await started(handler)
    yield session
    await session.close()


def workers() -> list[int]:
    """First processes of a PID namespace below this process."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        inside = next(line.split() for line in status.splitlines() if line.startswith("NSpid"))
        if len(inside) > 2 and inside[-1] == "1":
            found.append(pid)
    return found


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended since
        return False


async def none_left(pid: int) -> bool:
    for _ in range(200):
        if not children(pid):
            return True
        await asyncio.sleep(0.01)
    return False


def test_placeholder_is_a_text_and_a_number() -> None:
    stands_in = Placeholder()
    assert isinstance(stands_in, str)
    assert (int(stands_in), float(stands_in)) == (0, 0.0)
    assert isinstance(stands_in.strip().lower().split("\n")[0], Placeholder)
    assert "\ufdd0" in f"about {stands_in[:3]}"


async def test_a_scout_names_what_comes_next_and_leaves_no_trace(sandbox: Sandbox, handler: Foreseeing) -> None:
    handler.before = {"question 0": {"question 1", "question 2", "question 3"}}
    code = (
        "seen = []\nfor n in range(4):\n    print('before', n)\n    seen.append(int(llm_query(f'question {n}')))\nseen"
    )
    seen = await sandbox.run(code, 20)
    assert seen.error is None
    assert seen.output == "before 0\nbefore 1\nbefore 2\nbefore 3\n[1, 2, 3, 4]\n"
    assert handler.asked == [f"question {n}" for n in range(4)]
    assert handler.foreseen[:3] == ["question 1", "question 2", "question 3"]
    assert set(handler.foreseen) < set(handler.asked)


async def test_what_depends_on_an_answer_is_not_foreseen(sandbox: Sandbox, handler: Foreseeing) -> None:
    handler.before = {"q0": {"q1"}}
    code = "for n in range(2):\n    first = llm_query(f'q{n}')\n    llm_query('more on ' + first)\n    llm_query(first[:2].strip())"
    assert (await sandbox.run(code, 20)).error is None
    # '1' and '4' are answers that were there when the second call of a round waited
    assert set(handler.foreseen) <= {"q1", "1", "4"}
    assert "q1" in handler.foreseen


@pytest.mark.parametrize(
    "then", ["raise ValueError('no')", "FINAL('done')", "exit()", "while True: pass", "llm_query_async"]
)
async def test_a_scout_that_comes_to_an_end_changes_nothing(sandbox: Sandbox, handler: Foreseeing, then: str) -> None:
    code = f"r = llm_query('first')\nif int(r) == 0:\n    {then}\nprint('went on with', r)"
    seen = await sandbox.run(code, 20)
    assert (seen.error, seen.final, seen.output) == (None, None, "went on with 1\n")
    assert await none_left(workers()[0])


async def test_long_prompts_arrive_whole(sandbox: Sandbox, handler: Foreseeing) -> None:
    handler.before = {"a" * 500_000 + "é": {"b" * 500_000 + "é"}}
    assert (await sandbox.run("for n in 'ab': llm_query(n * 500_000 + 'é')", 20)).error is None
    assert handler.foreseen == ["b" * 500_000 + "é"]


async def test_no_more_is_foreseen_than_there_is_room_for(sandbox: Sandbox, handler: Foreseeing) -> None:
    handler.most, handler.before = 3, {"0": {"1", "2", "3"}}
    assert (await sandbox.run("for n in range(5): llm_query(f'{n}')", 20)).error is None
    assert len(handler.foreseen) == 3


async def test_a_failed_call_raises_as_ever(sandbox: Sandbox, handler: Foreseeing) -> None:
    seen = await sandbox.run("try:\n    llm_query('fail')\nexcept Exception as e:\n    print(type(e).__name__, e)", 20)
    assert seen.output == "CallFailed failed\n"


async def test_time_outs_and_snapshots_still_work(sandbox: Sandbox, handler: Foreseeing) -> None:
    handler.seconds = 30
    await sandbox.run("kept = 1", 5)
    seen = await sandbox.run("while True: pass", 0.2)
    assert seen.status == "timeout"
    blob = await sandbox.snapshot()
    assert not (await sandbox.restore(blob)).variables
    killed = await sandbox.run("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", 0.2)
    assert killed.status == "killed"
    assert (await sandbox.run("kept", 5)).output == "1\n"
    died = await sandbox.run("import os; os._exit(3)", 5)
    assert died.status == "died"
    assert died.error is not None
    assert "exit status 3" in died.error.message


async def test_no_fork_without_leave(sandbox: Sandbox) -> None:
    code = f"""{FORK}
libc = ctypes.CDLL(None, use_errno=True)
def raw(*arguments):
    made = libc.syscall(*map(ctypes.c_long, arguments))
    if made < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return made
ways = dict(fork=os.fork, forkpty=os.forkpty, clone=lambda: raw(56, 0x01200011, 0, 0, 0, 0), plain=lambda: raw(56, 17, 0, 0, 0, 0),
    vfork=lambda: raw(58), fork_call=lambda: raw(57), clone3=lambda: raw(435, 0, 0), parent=lambda: raw(56, 0x01208011, 0, 0, 0, 0),
    high=lambda: raw(56, 0x101200011, 0, 0, 0, 0), spawn=lambda: os.posix_spawn('/bin/true', ['true'], {{}}))
print({{name: attempt(way) for name, way in ways.items()}})
"""
    seen = await sandbox.run(code, 20)
    assert seen.error is None
    assert "forked" not in seen.output
    assert children(workers()[0]) == []


async def test_a_fork_storm_gets_one_child_at_most(sandbox: Sandbox, handler: Foreseeing) -> None:
    """Forks in the first thread and in others, before, between and while the host expects one; each child forks too."""
    handler.seconds, handler.most = 0.05, 1000
    code = f"""{FORK}
import threading, time
from worker import scouting
counts = dict(main=0, thread=0)
def storm():
    for _ in range(60):
        counts['thread'] += attempt(os.fork) == 'forked'
threads = []
def many(self, generation, streams):
    for _ in range(5):
        try:
            child = os.fork()
        except OSError:
            continue
        if child == 0:
            while True:
                attempt(os.fork)
                time.sleep(0.01)
        counts['main'] += 1
    return False
scouting.Scouting.fork = many
for n in range(6):
    llm_query(f'q{{n}}')
    threads.append(threading.Thread(target=storm)); threads[-1].start(); threads[-1].join()
print(counts)
"""
    worker = workers()[0]
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, sum(runs(pid) for pid in descendants(worker)))
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    seen = await sandbox.run(code, 30)
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])
    assert seen.error is None
    assert "'thread': 0" in seen.output
    assert most <= 1
    assert await none_left(worker)


async def test_a_scout_that_says_nothing_ends_with_the_answer(sandbox: Sandbox, handler: Foreseeing) -> None:
    code = """
import os, signal
from worker import scouting
def silent(self, generation, streams):
    if os.fork() == 0:
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except OSError: pass
        while True: pass
    return False
scouting.Scouting.fork = silent
llm_query('x')
"""
    assert (await sandbox.run(code, 20)).error is None
    assert await none_left(workers()[0])
    assert handler.foreseen == []


async def test_a_scout_that_speaks_for_the_worker_ends_the_session_at_worst(
    sandbox: Sandbox, handler: Foreseeing
) -> None:
    handler.seconds = 100  # the scout is first, however slow
    code = """
import os
from worker import scouting
def loud(self, generation, streams):
    if os.fork() == 0:
        while True: os.write(min(streams), b'\\0\\0\\0\\2{}')
    return False
scouting.Scouting.fork = loud
llm_query('x')
"""
    assert (await sandbox.run(code, 20)).status == "protocol"
    assert (await sandbox.run("6 * 7", 20)).output == "42\n"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"x",
        b"\0\0\0\1\0{}",
        b"\0\0\0\1\0" + b'{"t":"ahead","p":{"prompt":7}}',
        b"\0\0\0\1\0[" * 9,
        b"\0\0\0\1\1" + b"y" * 50_000,
    ],
)
async def test_bad_messages_reach_no_handler(sandbox: Sandbox, handler: Foreseeing, message: bytes) -> None:
    code = f"""
import os
from worker import scouting
def bad(self, generation, streams):
    if os.fork() == 0:
        for _ in range(5000): os.write(self._descriptor, {message!r})
        os._exit(0)
    return False
scouting.Scouting.fork = bad
llm_query('x')
"""
    seen = await sandbox.run(code, 20)
    assert seen.status in ("ok", "protocol")
    assert handler.foreseen == []
    assert (await sandbox.run("6 * 7", 20)).output == "42\n"


async def test_the_worker_cannot_pass_for_a_scout(sandbox: Sandbox, handler: Foreseeing) -> None:
    code = """
import json, os, struct
from worker import scouting
def pretend(self, generation, streams):
    if os.fork() == 0:
        os._exit(0)
    os.write(self._descriptor, struct.pack('>IB', generation, 0) + json.dumps(
        {'t': 'ahead', 'p': {'prompt': 'x', 'context': None, 'model': None}}).encode())
    return False
scouting.Scouting.fork = pretend
llm_query('x')
"""
    assert (await sandbox.run(code, 20)).error is None
    assert handler.foreseen == []


async def test_a_worker_without_its_first_thread_is_ended(sandbox: Sandbox, handler: Foreseeing) -> None:
    handler.seconds = 0.3
    code = """
import ctypes, os, threading, time
from worker import scouting
def leave(self, generation, streams):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    threading.Thread(target=time.sleep, args=(60,)).start()
    ctypes.CDLL(None).syscall(ctypes.c_long(60), ctypes.c_long(0))
scouting.Scouting.fork = leave
llm_query('x')
"""
    worker = workers()[0]
    seen = await sandbox.run(code, 3)
    assert seen.status in ("died", "killed")
    assert not Path(f"/proc/{worker}").exists()


async def test_closing_in_the_middle_leaves_nothing(handler: Foreseeing) -> None:
    handler.seconds, handler.most = 30, 1 << 30
    sandbox = await started(handler)
    worker = workers()[0]
    step = asyncio.create_task(sandbox.run("llm_query('x')\nwhile True: llm_query('y')", 60))
    while not handler.foreseen:
        await asyncio.sleep(0.01)
    below = {worker, *descendants(worker)}
    assert len(below) == 2
    step.cancel()
    await asyncio.wait([step])
    await sandbox.close()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in below):
            break
        await asyncio.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)


async def test_what_is_known_is_answered_at_once() -> None:
    knowing = Knowing()
    sandbox = await started(knowing)
    try:
        seen = await sandbox.run("[llm_query(f'k{n}') for n in range(50)] + [llm_query('new'), llm_query('k')]", 20)
        assert seen.output == f"{['known'] * 50 + ['1', 'known']}\n"
        assert knowing.asked == ["new"]
        with pytest.raises(OSError, match="no space left"):
            await sandbox.run("llm_query('break')", 20)
        assert (await sandbox.run("1 + 1", 20)).output == "2\n"
    finally:
        await sandbox.close()


class Giving(Foreseeing):
    """One that has the answer to each call as soon as it is foreseen. made: the calls of the code, in order, however they were answered."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 10_000
        self.seconds = 0.02
        self.made: list[str] = []
        self.peeked = 0

    async def __call__(self, arguments: Mapping[str, Any], /) -> Any:
        self.made.append(arguments["prompt"])
        await super().__call__(arguments)
        return f"answer to {arguments['prompt']}"

    def room(self) -> int:
        return self.most

    def ready(self, arguments: Mapping[str, Any]) -> Any:
        value = self._known(arguments)
        if value is not None:
            self.made.append(arguments["prompt"])
        return value

    def peek(self, arguments: Mapping[str, Any]) -> str | None:
        value = self._known(arguments)
        self.peeked += value is not None
        return value

    def _known(self, arguments: Mapping[str, Any]) -> str | None:
        return f"answer to {arguments['prompt']}" if arguments["prompt"] in self.foreseen else None


@pytest_asyncio.fixture
async def giving() -> AsyncIterator[tuple[Giving, Sandbox]]:
    handler = Giving()
    sandbox = await started(handler)
    yield handler, sandbox
    await sandbox.close()


async def test_answers_given_in_advance_are_those_of_the_calls_and_told_in_order(
    giving: tuple[Giving, Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, sandbox = giving
    frames = 0
    take = Conversation._take_call

    def count(self: Conversation, *arguments: Any) -> None:
        nonlocal frames
        frames += 1
        take(self, *arguments)

    monkeypatch.setattr(Conversation, "_take_call", count)
    prompts = [f"question {number}" for number in range(60)]
    seen = await sandbox.run(f"[llm_query(p) for p in {prompts}] == ['answer to ' + p for p in {prompts}]", 20)
    assert seen.output == "True\n"
    assert handler.made == prompts
    assert frames < len(prompts) / 2
    assert handler.peeked >= len(prompts) - frames


async def test_code_that_goes_another_way_gets_no_answer_that_is_not_its_own(giving: tuple[Giving, Sandbox]) -> None:
    handler, sandbox = giving
    code = """
got = []
for number in range(40):
    got.append(llm_query(f'question {number}'))
    if got[-1] == 'answer to question 9':
        got.append(llm_query('something else'))
        got.append(llm_query('question 30'))
got
"""
    seen = await sandbox.run(code, 20)
    prompts = [f"question {number}" for number in range(40)]
    prompts[10:10] = ["something else", "question 30"]
    assert seen.output == f"{[f'answer to {each}' for each in prompts]}\n"
    assert handler.made == prompts


async def test_one_answer_is_not_given_for_two_calls(giving: tuple[Giving, Sandbox]) -> None:
    handler, sandbox = giving
    seen = await sandbox.run("[llm_query('a') for _ in range(20)] == ['answer to a'] * 20", 20)
    assert seen.output == "True\n"
    assert handler.made == ["a"] * 20


@pytest.mark.parametrize("end", ["while True: pass", "1 / 0", "FINAL('x')", "pass"])
async def test_the_end_of_a_step_tells_which_answers_were_used(giving: tuple[Giving, Sandbox], end: str) -> None:
    handler, sandbox = giving
    seen = await sandbox.run(f"for number in range(15):\n    llm_query(f'question {{number}}')\n{end}", 2)
    assert seen.status == {"while True: pass": "timeout", "1 / 0": "error"}.get(end, "ok")
    assert handler.made == [f"question {number}" for number in range(15)]
    seen = await sandbox.run("llm_query('question 15')", 20)
    assert seen.output == "'answer to question 15'\n"
    assert handler.made[15:] == ["question 15"]


async def test_a_failure_while_a_used_answer_is_booked_ends_the_step() -> None:
    class Breaking(Giving):
        def ready(self, arguments: Mapping[str, Any]) -> Any:
            if arguments["prompt"] == "question 7":
                raise OSError("no space left")
            return super().ready(arguments)

    sandbox = await started(Breaking())
    try:
        with pytest.raises(OSError, match="no space left"):
            await sandbox.run("for number in range(15):\n    llm_query(f'question {number}')", 20)
        assert (await sandbox.run("1 + 1", 20)).output == "2\n"
    finally:
        await sandbox.close()


HOST = """
import asyncio
from longreach.context import Context
from longreach.sandbox import Limits
from longreach.sandbox.conversation import Conversation
from longreach.sandbox.factory import open_sandbox
class Foreseeing:
    async def __call__(self, arguments): await asyncio.sleep(60)
    def room(self): return 1
    def ahead(self, arguments): print("ready", flush=True)
    def ready(self, arguments): return None
    def peek(self, arguments): return None
async def main():
    sandbox = open_sandbox()
    await sandbox.start(Context.from_text("x"), {"llm_query": Foreseeing()}, Limits())
    await sandbox.run("llm_query('a')\\nllm_query('b')\\nwhile True: pass", 60)
asyncio.run(main())
"""


async def test_a_killed_host_takes_its_scouts_along(sandbox: Sandbox) -> None:
    host = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOST], env={**os.environ, "PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    family = descendants(host.pid)
    assert len(family) >= 2  # the fork server, a worker
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    for _ in range(300):
        if not any(Path(f"/proc/{pid}").exists() for pid in family):
            break
        await asyncio.sleep(0.01)
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


async def test_without_namespaces_there_are_no_scouts(monkeypatch: pytest.MonkeyPatch, handler: Foreseeing) -> None:
    monkeypatch.setenv("LONGREACH_LAYERS", "seccomp")
    sandbox = open_sandbox()
    await sandbox.start(Context.from_text("x"), {"llm_query": handler}, Limits())
    assert "no PID namespace" in next(each.detail for each in sandbox.report.layers if each.name == "scout")
    assert (await sandbox.run("for n in range(2): llm_query(str(n))", 20)).error is None
    assert handler.foreseen == []
    await sandbox.close()


async def test_sandboxes_that_cannot_look_ahead_refuse_forks() -> None:
    async def plain(arguments: Mapping[str, Any]) -> str:
        return "x"

    sandbox = open_sandbox()
    await sandbox.start(Context.from_text("x"), {"llm_query": plain}, Limits())
    assert not sandbox.report.active("scout")
    assert (await sandbox.run(f"{FORK}\nattempt(os.fork)", 20)).output == "'PermissionError'\n"
    await sandbox.close()
