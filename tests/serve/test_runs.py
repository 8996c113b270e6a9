"""/v1/runs and /v1/contexts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from longreach.errors import ModelError
from longreach.runs import Settings
from longreach.runs.store import runs_folder
from longreach.serve.contexts import safe_name
from longreach.serve.settings import DiskLimits
from tests.serve.conftest import FIND, TEXT, Serve

SLOW = [
    {"role": "root", "turn": 1, "text": "```repl\nprint(len(context))\n```"},
    {"role": "root", "turn": 2, "text": "```repl\nFINAL(llm_query('number'))\n```"},
    {"role": "sub", "call": 1, "contains": "number", "text": "late", "latency": 3600},
    {"role": "sub", "contains": "number", "text": "4711"},
]
ASK = {"model": "rlm:mine/m", "query": "What is the secret number?", "context": TEXT}


async def started(client: httpx2.AsyncClient, **body: Any) -> str:
    response = await client.post("/v1/runs", json=ASK | body)
    assert response.status_code == 202, response.text
    run_id: str = response.json()["id"]
    return run_id


async def events(client: httpx2.AsyncClient, run_id: str, **headers: str) -> list[tuple[int, str, dict[str, Any]]]:
    """All events of a run until it ends: number, kind, data."""
    found = []
    async with client.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = int(value)
            elif field == "event":
                kind = value
            elif field == "data":
                found.append((number, kind, json.loads(value)))
    return found


async def test_a_run_is_started_followed_and_shown(serve: Serve) -> None:
    async with serve() as running:
        client = running.http()
        run_id = await started(client)
        seen = await events(client, run_id)
        assert [number for number, _, _ in seen] == list(range(len(seen)))
        kinds = [kind for _, kind, _ in seen]
        assert kinds[:2] == ["run.opened", "run.started"]
        assert kinds[-1] == "run.ended"
        assert kinds.count("code.ended") == 2
        shown = (await client.get(f"/v1/runs/{run_id}")).json()
        assert shown["status"] == "complete"
        assert shown["answer"]["text"] == "4711"
        listed = (await client.get("/v1/runs")).json()
        assert [each["id"] for each in listed["data"]] == [run_id]
        journal = (await client.get(f"/v1/runs/{run_id}/journal")).text
        assert [json.loads(line) for line in journal.splitlines()] == [data for _, _, data in seen]


async def test_events_go_on_after_the_last_one_that_was_seen(serve: Serve) -> None:
    async with serve() as running:
        client = running.http()
        run_id = await started(client)
        everything = await events(client, run_id)
        assert await events(client, run_id, **{"Last-Event-ID": "3"}) == everything[4:]


async def test_a_long_text_is_read_by_its_hash(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longreach.runs.journal.SMALL_BYTES", 0)
    async with serve() as running:
        client = running.http()
        run_id = await started(client)
        seen = await events(client, run_id)
        text = seen[1][2]["context"]["text"]
        response = await client.get(f"/v1/runs/{run_id}/texts/{text['$text']}")
        assert response.text == TEXT
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        for name in ("0" * 64, "..%2F..%2Fjournal.jsonl", "journal.jsonl"):
            assert (await client.get(f"/v1/runs/{run_id}/texts/{name}")).status_code == 404


async def test_a_cancelled_run_is_resumed_without_paying_twice(serve: Serve) -> None:
    async with serve(*SLOW, price=(1, 1)) as running:
        client = running.http()
        run_id = await started(client)
        await running.model.until(
            lambda model: any(each.outcome == "open" and len(model.asked) == 3 for each in model.asked)
        )
        cancelled = (await client.post(f"/v1/runs/{run_id}/cancel")).json()
        assert (cancelled["status"], cancelled["reason"]) == ("partial", "cancelled")
        assert running.model.in_flight == 0
        resumed = await client.post(f"/v1/runs/{run_id}/resume", json={})
        assert resumed.status_code == 202, resumed.text
        await events(client, run_id)
        shown = (await client.get(f"/v1/runs/{run_id}")).json()
        assert (shown["status"], shown["answer"]["text"]) == ("complete", "4711")
        assert len(running.model.asked) == 4  # both steps were not asked again, only the call that was broken off
        again = await client.post(f"/v1/runs/{run_id}/resume", json={})
        assert again.status_code == 409


async def test_a_run_that_waits_is_cancelled_at_once_and_can_be_resumed(serve: Serve) -> None:
    never = {"contains": "never", "text": "late", "latency": 3600}
    async with serve(never, *FIND, runs=1, queue=2, run=Settings(cache=True)) as running:
        client = running.http()
        works, waits = await started(client, query="never"), await started(client)
        await running.model.until(lambda model: model.in_flight == 1)
        following = asyncio.create_task(events(client, waits))
        assert (await client.get(f"/v1/runs/{waits}")).json()["status"] == "queued"
        answered = await asyncio.gather(*(client.post(f"/v1/runs/{waits}/cancel") for _ in range(3)))
        for each in answered:
            cancelled = each.json()
            assert (each.status_code, cancelled["status"], cancelled["reason"]) == (200, "partial", "cancelled")
            assert (cancelled["tokens"], cancelled["answer"]["text"]) == (0, "")
        assert [kind for _, kind, _ in await following] == ["run.opened", "run.started", "run.ended"]
        assert (len(running.model.asked), running.service.runner.working()) == (1, [works])
        await client.post(f"/v1/runs/{works}/cancel")
        assert (await client.post(f"/v1/runs/{waits}/resume", json={})).status_code == 202
        assert (await events(client, waits))[-1][2]["status"] == "complete"


async def test_a_run_is_cancelled_whichever_moment_it_is_in(serve: Serve) -> None:
    async with serve(*SLOW, run=Settings(cache=True)) as running:
        runner, client = running.service.runner, running.http()
        for turns in range(60):  # of the event loop, from before it is admitted until it works
            starting = asyncio.create_task(started(client))
            await running.until(lambda: bool(runner._jobs))
            (job,) = runner._jobs.values()
            for _ in range(turns):
                await asyncio.sleep(0)
            job.cancel()
            await job.over.wait()
            shown = (await client.get(f"/v1/runs/{await starting}")).json()
            assert (shown["status"], shown["reason"]) == ("partial", "cancelled")
        assert running.model.in_flight == 0


async def test_a_run_that_cannot_begin_says_why(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object, _choice: object) -> None:
        raise ModelError("its key is not set")

    async with serve() as running:
        monkeypatch.setattr("longreach.serve.models.ModelPool.models", refuse)
        client = running.http()
        run_id = await started(client)
        await running.until(lambda: running.service.runner.job(run_id, "") is None)
        shown = (await client.get(f"/v1/runs/{run_id}")).json()
        assert (shown["status"], shown["reason"], shown["answer"]) == ("failed", "its key is not set", None)
        assert not (runs_folder() / run_id).exists()


async def test_a_run_outlives_the_client_that_started_it(serve: Serve) -> None:
    async with serve(*FIND, latency=0.05) as running:
        async with httpx2.AsyncClient(base_url=running.url) as client:
            run_id = await started(client)
        shown: dict[str, Any] = {}
        client = running.http()
        while shown.get("status") != "complete":
            shown = (await client.get(f"/v1/runs/{run_id}")).json()
            await asyncio.sleep(0.02)
        assert shown["answer"]["text"] == "4711"


async def test_followers_come_and_go_without_touching_the_run(serve: Serve) -> None:
    async with serve(*SLOW) as running:
        client = running.http()
        run_id = await started(client)
        await running.model.until(lambda model: len(model.asked) == 3)
        followers = [asyncio.create_task(events(client, run_id)) for _ in range(3)]
        async with client.stream("GET", f"/v1/runs/{run_id}/events") as response:
            await anext(response.aiter_lines())
        await asyncio.sleep(0.1)
        assert running.model.in_flight == 1
        await client.post(f"/v1/runs/{run_id}/cancel")
        seen = await asyncio.gather(*followers)
        assert seen[0] == seen[1] == seen[2]
        assert seen[0][-1][1] == "run.ended"


# --- uploads


async def upload(client: httpx2.AsyncClient, data: bytes, name: str = "facts.txt") -> httpx2.Response:
    return await client.post("/v1/contexts", params={"name": name}, content=data)


async def test_an_upload_is_asked_about_and_reused(serve: Serve) -> None:
    async with serve() as running:
        client = running.http()
        first, second = [(await upload(client, TEXT.encode())).json() for _ in range(2)]
        assert first["id"] == second["id"]
        assert first["bytes"] == len(TEXT)
        for _ in range(2):
            run_id = await started(client, context=None, context_id=first["id"])
            seen = await events(client, run_id)
            assert seen[-1][2]["text"] == "4711"
        # neither the text again, nor where the server keeps it
        assert "text" not in seen[1][2]["context"]
        assert seen[1][2]["context"]["sources"] == ["facts.txt"]
        everything = json.dumps([data for _, _, data in seen])
        assert str(runs_folder().parent) not in everything
        assert len((await client.get("/v1/contexts")).json()["data"]) == 1


async def test_several_uploads_and_a_text_are_one_context(serve: Serve) -> None:
    async with serve({"contains": "Question", "text": "read"}) as running:
        client = running.http()
        ids = [(await upload(client, f"text {n}".encode(), f"{n}.txt")).json()["id"] for n in range(2)]
        await events(client, await started(client, model="direct:mine/m", context={"own": "inline"}, context_id=ids))
        prompt = running.model.asked[0].messages[-1].content
    for part in ("===== own =====\ninline", "===== 0.txt =====\ntext 0", "===== 1.txt =====\ntext 1"):
        assert part in prompt


async def test_a_deleted_upload_is_gone(serve: Serve) -> None:
    async with serve() as running:
        client = running.http()
        context_id = (await upload(client, b"x")).json()["id"]
        assert (await client.delete(f"/v1/contexts/{context_id}")).status_code == 200
        assert (await client.delete(f"/v1/contexts/{context_id}")).status_code == 404
        assert (await client.post("/v1/runs", json=ASK | {"context_id": context_id})).status_code == 404
        assert not any(running.service.settings.folder.glob("contexts/ctx-*"))


async def pieces(count: int, size: int = 1 << 16) -> Any:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_that_is_too_large_is_refused_and_leaves_nothing(serve: Serve, declared: bool) -> None:
    async with serve(disk=DiskLimits(upload=1 << 20)) as running:
        client = running.http()
        body = b"x" * (2 << 20) if declared else pieces(32)
        response = await client.post("/v1/contexts", content=body)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "context_too_large")
        left = [path for path in running.service.settings.folder.rglob("contexts/**/*") if path.is_file()]
        assert left == []


async def test_uploads_together_stay_within_their_room(serve: Serve) -> None:
    async with serve(disk=DiskLimits(contexts=3 << 20)) as running:
        client = running.http()
        statuses = await asyncio.gather(*(upload(client, bytes([65 + n]) * (1 << 20)) for n in range(5)))
        codes = sorted(response.status_code for response in statuses)
        assert codes.count(201) <= 3
        assert set(codes) == {201, 507}
        kept = sum(path.stat().st_size for path in running.service.settings.folder.rglob("ctx-*/*"))
        assert kept <= 3 << 20


async def test_old_uploads_make_room(serve: Serve) -> None:
    async with serve(disk=DiskLimits(contexts=1000, context_days=0)) as running:
        client = running.http()
        first = (await upload(client, b"a" * 900)).json()["id"]
        assert (await upload(client, b"b" * 900)).status_code == 201
        listed = (await client.get("/v1/contexts")).json()["data"]
        assert first not in [each["id"] for each in listed]
        assert len(listed) == 1


async def test_nothing_is_stored_when_the_disk_is_nearly_full(serve: Serve) -> None:
    async with serve(disk=DiskLimits(free=1 << 60)) as running:
        client = running.http()
        for response in (await upload(client, b"x"), await client.post("/v1/runs", json=ASK)):
            assert (response.status_code, response.json()["error"]["code"]) == (507, "disk_full")
        assert list(runs_folder().glob("*")) == []


async def test_an_upload_that_is_broken_off_leaves_nothing(serve: Serve) -> None:
    async with serve() as running:
        _, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
        writer.write(
            b"POST /v1/contexts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 3_000_000
        )
        await writer.drain()
        incoming = running.service.settings.folder / "contexts" / ".incoming" / "server"
        await running.until(lambda: any(incoming.iterdir()))
        writer.close()
        await running.until(lambda: not any(incoming.iterdir()))
        assert running.service.contexts._incoming == 0


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("..", "text"),
        ("C:\\x\\b.pdf", "b.pdf"),
        ("new\nline\0.md", "new_line_.md"),
        (".hidden", "hidden"),
        ("ü" * 300 + ".pdf", "ü" * 75 + ".pdf"),
    ],
)
def test_names_of_uploads_lead_nowhere(name: str, safe: str) -> None:
    assert safe_name(name) == safe


async def test_who_asks_of_runs_that_are_not_there_is_told_so(serve: Serve) -> None:
    async with serve() as running:
        client = running.http()
        for path in ("20260101-000000-abcdef", "last", "..", "%2e%2e%2fetc", "x" * 500):
            for method, end in (("GET", ""), ("GET", "/events"), ("GET", "/journal"), ("POST", "/cancel")):
                response = await client.request(method, f"/v1/runs/{path}{end}")
                assert response.status_code in (404, 405), (path, end)
