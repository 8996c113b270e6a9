"""`longreach serve --processes 2`, the real command: two processes that clients cannot tell from one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from longreach.serve.keys import hash_key, make_key
from longreach.serve.state import KeyLimits, open_state
from tests.serve.conftest import write_endpoint

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")

RULES = [
    {"contains": "never", "text": "late", "latency": 3600},
    {"contains": "once", "call": 1, "text": "late", "latency": 3600},
    {"matches": ".", "text": "done"},
]


def until(holds: Callable[[], Any]) -> Any:
    while not (found := holds()):
        time.sleep(0.05)
    return found


def processes_of(pid: int) -> list[int]:
    """All that a process has started, however deep."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(each) for each in (task / "children").read_text().split()]
    return found[1:]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Served:
    """A server, and clients each of which has one connection, which stays with one process."""

    home: Path
    url: str
    process: subprocess.Popen[str]
    keys: dict[str, str] = field(default_factory=dict)
    clients: list[httpx2.Client] = field(default_factory=list)

    def client(self, key: str = "") -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        client = httpx2.Client(base_url=self.url, headers=headers, timeout=60)
        self.clients.append(client)
        return client

    def both(self, key: str = "") -> tuple[httpx2.Client, httpx2.Client]:
        """A client of each process."""
        found: dict[int, httpx2.Client] = {}
        while len(found) < 2:
            client = self.client(key)
            found.setdefault(client.get("/healthz").json()["process"], client)
        return found[1], found[2]


def started(client: httpx2.Client, query: str) -> str:
    body = {"model": "direct:mine/m", "query": query, "context": f"about {query}"}
    response = client.post("/v1/runs", json=body)
    assert response.status_code == 202, response.text
    run_id: str = response.json()["id"]
    until(lambda: "call.started" in client.get(f"/v1/runs/{run_id}/journal").text)
    return run_id


def status(client: httpx2.Client, run_id: str) -> str:
    found: str = client.get(f"/v1/runs/{run_id}").json().get("status", "")
    return found


def ended(client: httpx2.Client, run_id: str) -> str:
    """How a run ended, once it has."""
    until(lambda: status(client, run_id) not in ("queued", "running"))
    return status(client, run_id)


def refusal(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@contextmanager
def server(home: Path, *options: str) -> Iterator[Served]:
    home.mkdir(exist_ok=True)
    script = home / "script.json"
    script.write_text(json.dumps({"rules": RULES}), "utf-8")
    environment = {**os.environ, "LONGREACH_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "longreach.models.scripted_server", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
        assert model.stdout
        write_endpoint(home, model.stdout.readline().strip())
        command = [sys.executable, "-m", "longreach", "serve", "--port", "0", "--model", "mine/*", "--processes", "2"]
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"http://\S+?(?=/v1)", line)
            assert found, line
            served = Served(home, found[0], process)
            yield served
            for client in served.clients:
                client.close()
        finally:
            process.kill()
            process.communicate()
            model.kill()


async def made_keys(home: Path, **limits: KeyLimits) -> dict[str, str]:
    state = await open_state(home / "serve" / "state.sqlite")
    keys = {}
    for name, each in limits.items():
        keys[name], key = make_key(name, each)
        await state.add_key(key, hash_key(keys[name]))
    await state.close()
    return keys


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with keys, for all tests of this file; the last two kill processes of it."""
    home = tmp_path_factory.mktemp("processes")
    limits = {
        "free": KeyLimits(),
        "other": KeyLimits(),
        "one_run": KeyLimits(runs=1),
        "five": KeyLimits(requests_per_minute=5),
    }
    keys = asyncio.run(made_keys(home, **limits))
    with server(home) as running:
        running.keys = keys
        yield running


def test_connections_are_dealt_out_in_turn_and_all_are_answered(served: Served) -> None:
    clients = [served.client("free") for _ in range(8)]
    body = {"model": "direct:mine/m", "messages": [{"role": "user", "content": "hello"}]}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda client: client.post("/v1/chat/completions", json=body), clients))
    assert [each.json()["choices"][0]["message"]["content"] for each in answers] == ["done"] * 8
    numbers = [client.get("/healthz").json()["process"] for client in clients]
    assert sorted(numbers) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_connections_that_come_at_once_are_all_taken(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
    for each in connections:
        each.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    for each in connections:
        with each, each.makefile("rb") as answer:
            assert b" 401 " in answer.readline()


def test_a_run_is_shown_followed_and_cancelled_through_either_process(served: Served) -> None:
    here, there = served.both("free")
    run_id = started(here, "never")
    for client in (here, there):
        assert status(client, run_id) == "running"
        listed = {each["id"]: each["status"] for each in client.get("/v1/runs").json()["data"]}
        assert listed[run_id] == "running"
        assert refusal(client.post(f"/v1/runs/{run_id}/resume", json={})) == (409, "still_running")
    for client in served.both("other"):
        for end in ("cancel", "resume"):
            assert client.post(f"/v1/runs/{run_id}/{end}", json={}).status_code == 404
        assert client.get(f"/v1/runs/{run_id}/events").status_code == 404
    followers = [served.both("free")[0], served.both("free")[1]]
    with ThreadPoolExecutor(2) as threads:
        following = [threads.submit(client.get, f"/v1/runs/{run_id}/events") for client in followers]
        cancelled = there.post(f"/v1/runs/{run_id}/cancel").json()
        assert (cancelled["status"], cancelled["reason"]) == ("partial", "cancelled")
        seen = [each.result() for each in following]
    assert seen[0].text == seen[1].text
    assert "event: run.ended" in seen[0].text
    assert {each.headers["content-type"] for each in seen} == {"text/event-stream; charset=utf-8"}
    later = here.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": "2"}).text
    assert later.startswith("id: 3\n")


def test_a_run_that_waits_is_cancelled_through_either_process_and_resumed(tmp_path: Path) -> None:
    with server(tmp_path / "home", "--runs", "2") as running:
        here, there = running.both()
        works = [started(here, "never"), started(there, "never")]
        body = {"model": "direct:mine/m", "query": "what?", "context": "x"}
        waiting = [client.post("/v1/runs", json=body).json()["id"] for client in (here, there)]
        for run_id in waiting:
            assert status(here, run_id) == status(there, run_id) == "queued"
            cancelled = there.post(f"/v1/runs/{run_id}/cancel").json()
            assert (cancelled["status"], cancelled["reason"], cancelled["cost_usd"]) == ("partial", "cancelled", "0")
            assert status(here, run_id) == "partial"
        for run_id in works:
            here.post(f"/v1/runs/{run_id}/cancel")
        for run_id in waiting:
            assert here.post(f"/v1/runs/{run_id}/resume", json={}).status_code == 202
            assert ended(there, run_id) == "complete"


def test_who_finds_the_socket_between_processes_is_not_let_in(served: Served) -> None:
    path = str(served.home / "serve" / "server#1.socket")
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=path), base_url="http://localhost") as client:
        for secret in ("", "0" * 64):
            for path in ("/process/working", "/v1/runs", "/metrics"):
                assert client.get(path, headers={"x-longreach-sibling": secret}).status_code == 403
    assert served.client("free").get("/process/working").status_code == 404


def test_what_a_key_may_do_it_may_do_once(served: Served) -> None:
    here, there = served.both("one_run")
    run_id = started(here, "never")
    body = {"model": "direct:mine/m", "query": "again", "context": "x"}
    for client in (there, here):
        assert refusal(client.post("/v1/runs", json=body)) == (429, "too_many_runs")
    there.post(f"/v1/runs/{run_id}/cancel")
    assert started(there, "again")

    clients = [*served.both("five"), *served.both("five")]
    answers = [client.get("/v1/models").status_code for client in clients * 5]
    assert answers[:5] == [200] * 5
    assert answers.count(200) < 10  # two processes that each counted for themselves would let ten through


def test_a_request_that_is_handed_on_counts_once(served: Served) -> None:
    def counts(client: httpx2.Client) -> dict[str, float]:
        lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    shown = 'longreach_requests_total{method="GET",route="/v1/runs/{run_id}",status="200"}'
    clients = served.both("free")
    run_id = started(clients[0], "never")
    before = counts(clients[0])
    for client in clients * 3:
        assert status(client, run_id) == "running"
    after = [counts(client) for client in clients]
    assert [each[shown] for each in after] == [before[shown] + 6] * 2
    assert [each["longreach_runs_working"] for each in after] == [1, 1]
    clients[1].post(f"/v1/runs/{run_id}/cancel")
    assert counts(clients[1])["longreach_runs_working"] == 0


def test_uploads_are_one_store(served: Served) -> None:
    clients = served.both("free")
    content = b"a line of text\n" * 5_000
    together = threading.Barrier(2)

    def upload(client: httpx2.Client) -> str:
        together.wait()
        found: str = client.post("/v1/contexts?name=a.txt", content=content).json()["id"]
        return found

    for _ in range(3):
        with ThreadPoolExecutor(2) as threads:
            ids = list(threads.map(upload, clients))
        assert ids[0] == ids[1]
        for client in clients:
            body = {"model": "direct:mine/m", "query": "what?", "context_id": ids[0]}
            run_id = client.post("/v1/runs", json=body).json()["id"]
            assert ended(client, run_id) == "complete"
        assert clients[1].delete(f"/v1/contexts/{ids[0]}").status_code == 200
        assert clients[0].delete(f"/v1/contexts/{ids[0]}").status_code == 404
    incoming = served.home / "serve" / "contexts" / ".incoming"
    assert sorted(each.name for each in incoming.iterdir()) == ["server#1", "server#2"]
    assert [list(each.iterdir()) for each in incoming.iterdir()] == [[], []]


def test_a_process_that_is_killed_is_started_again_and_its_run_can_be_resumed(served: Served) -> None:
    here, there = served.both("free")
    others, lost = started(here, "never"), started(there, "once")
    number = processes_of(served.process.pid)
    (killed,) = [pid for pid in number if _number_of(pid, served.home) == 2]
    follower = served.both("free")[0]
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(follower.get, f"/v1/runs/{lost}/events")
        until(lambda: following.running())
        os.kill(killed, signal.SIGKILL)
        assert "run.ended" not in following.result().text
    until(lambda: not lives(killed))
    assert status(here, others) == "running"
    assert here.get("/healthz").json()["down"] in ([2], [])
    until(lambda: here.get("/healthz").json()["down"] == [])
    again = served.both("free")[1]
    for client in (here, again):
        assert status(client, lost) == "interrupted"
        assert status(client, others) == "running"
    assert here.post(f"/v1/runs/{lost}/resume", json={}).status_code == 202
    assert ended(again, lost) == "complete"
    assert again.get(f"/v1/runs/{lost}").json()["answer"]["text"] == "done"
    assert again.post(f"/v1/runs/{others}/cancel").json()["status"] == "partial"


def _number_of(pid: int, home: Path) -> int | None:
    """Which of the server's processes it is, by the socket that it listens on."""
    names = {
        line.split()[6]: line.split()[7] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if "#" in line
    }
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inode = os.readlink(descriptor).partition("[")[2].rstrip("]")
        except OSError:
            continue
        if names.get(inode, "").endswith(".socket"):
            return int(names[inode].partition("#")[2].removesuffix(".socket"))
    return None


def test_no_process_outlives_the_one_that_started_them(served: Served) -> None:
    run_id = started(served.client("free"), "never")
    below = processes_of(served.process.pid)
    assert len(below) >= 2
    served.process.kill()
    served.process.wait()
    until(lambda: not any(lives(pid) for pid in below))
    left = {path.name for path in (served.home / "serve").iterdir()}
    assert left <= {"contexts", "server.lock", "state.sqlite", "state.sqlite-wal", "state.sqlite-shm"}

    async def ended() -> str:
        state = await open_state(served.home / "serve" / "state.sqlite")
        try:
            key = await state.key_by_hash(hash_key(served.keys["free"]))
            assert key is not None
            row = await state.run(run_id, key.id)
            assert row is not None
            return f"{row.status} {row.reason}"
        finally:
            await state.close()

    assert asyncio.run(ended()) == "partial cancelled"


def test_limits_hold_for_all_and_a_signal_drains_all(tmp_path: Path) -> None:
    with server(tmp_path / "home", "--runs", "2", "--queue", "2") as running:
        here, there = running.both()
        runs = [started(here, "never"), started(there, "never")]
        body = {"model": "direct:mine/m", "query": "more", "context": "x"}
        waiting = [client.post("/v1/runs", json=body).json() for client in (here, there)]
        assert [status(client, each["id"]) for client in (here, there) for each in waiting] == ["queued"] * 4
        assert refusal(here.post("/v1/runs", json=body)) == (429, "queue_full")
        there.post(f"/v1/runs/{runs[0]}/cancel")
        assert ended(there, waiting[0]["id"]) == "complete"
        last = started(here, "never")
        for pid in (*processes_of(running.process.pid), running.process.pid):  # as systemd stops a service
            os.kill(pid, signal.SIGTERM)
        until(lambda: there.get("/healthz").status_code == 503)
        until(lambda: here.get("/healthz").status_code == 503)
        for client in (here, there, running.client()):
            assert refusal(client.post("/v1/runs", json=body)) == (503, "shutting_down")
        here.post(f"/v1/runs/{runs[1]}/cancel")
        assert (
            ended(here, waiting[1]["id"]) == "complete"
        )  # it may still begin, and both answer until all runs have ended
        assert status(there, last) == "running"
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait() == 0
        assert not (tmp_path / "home" / "serve" / "server#1.socket").exists()
        assert not (tmp_path / "home" / "serve" / "server#metrics").exists()
