"""Who gets in, and how much they may do."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import openai
import pytest

from longreach.errors import UsageError
from longreach.serve.failures import ApiError
from longreach.serve.rates import Rates
from longreach.serve.server import run
from longreach.serve.service import open_service
from longreach.serve.settings import ServeSettings, is_loopback
from tests.serve.conftest import ASKED, Serve
from tests.serve.test_runs import ASK, SLOW, events, started, upload

ECHO = {"matches": ".", "text": "answer"}


async def test_with_keys_nobody_gets_in_without_one(serve: Serve) -> None:
    async with serve(ECHO) as running:
        key = await running.add_key()
        for client in (running.http(), running.http("lr-wrong"), running.http(key + "x"), running.http("")):
            for path in ("/v1/models", "/v1/runs", "/metrics", "/v1/contexts"):
                response = await client.get(path)
                assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
        assert (await running.http(key).get("/v1/models")).status_code == 200
        assert (await running.http().get("/healthz")).json() == {"status": "ok"}
        with pytest.raises(openai.AuthenticationError):
            await running.openai("wrong").chat.completions.create(model="direct:mine/m", messages=ASKED)


async def test_a_revoked_key_is_out_at_once_and_the_door_stays_shut(serve: Serve) -> None:
    async with serve(ECHO) as running:
        client = running.http(await running.add_key())
        assert (await client.get("/v1/runs")).status_code == 200
        (key,) = await running.service.state.keys()
        await running.service.state.revoke_key(key.id)
        assert (await client.get("/v1/runs")).status_code == 401
        assert (await running.http().get("/v1/runs")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8000"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[bad"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
    ],
)
async def test_without_keys_web_pages_and_proxied_requests_stay_out(serve: Serve, headers: dict[str, str]) -> None:
    async with serve(ECHO) as running:
        response = await running.http(**headers).post("/v1/runs", json=ASK)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "no_keys")
        assert not running.model.asked
        assert (await running.http(Origin="http://localhost:3000").get("/v1/runs")).status_code == 200


async def test_a_web_form_cannot_start_a_run(serve: Serve) -> None:
    async with serve(ECHO) as running:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            response = await running.http().post("/v1/runs", content=b"{}", headers={"Content-Type": kind})
            assert response.status_code == 415


def test_an_open_address_needs_a_key() -> None:
    with pytest.raises(UsageError, match="longreach keys add"):
        run(ServeSettings(host="0.0.0.0"))


@pytest.mark.parametrize(
    ("hosts", "is_local"),
    [
        (("127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1", "localhost"), True),
        (("0.0.0.0", "10.0.0.1", "::", "localhost.evil.example", ""), False),
    ],
)
def test_what_is_this_machine(hosts: tuple[str, ...], is_local: bool) -> None:
    assert {is_loopback(host) for host in hosts} == {is_local}


async def test_runs_journals_and_uploads_are_their_owner_s(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longreach.runs.journal.SMALL_BYTES", 0)
    async with serve(ECHO) as running:
        owner, other = [running.http(await running.add_key()) for _ in range(2)]
        run_id = await started(owner, model="direct:mine/m")
        seen = await events(owner, run_id)
        text = seen[1][2]["context"]["text"]["$text"]
        context_id = (await upload(owner, b"secret")).json()["id"]
        paths = [f"/v1/runs/{run_id}{end}" for end in ("", "/events", "/journal", f"/texts/{text}")]
        for path in paths:
            assert (await owner.get(path)).status_code == 200
            assert (await other.get(path)).status_code == 404
        for end in ("cancel", "resume"):
            assert (await other.post(f"/v1/runs/{run_id}/{end}", json={})).status_code == 404
        assert (await other.get("/v1/runs")).json()["data"] == []
        assert (await other.get("/v1/contexts")).json()["data"] == []
        assert (await other.delete(f"/v1/contexts/{context_id}")).status_code == 404
        assert (await other.post("/v1/runs", json=ASK | {"context_id": context_id})).status_code == 404
        # the same bytes of somebody else are another upload: its id tells nothing
        assert (await upload(other, b"secret")).json()["id"] != context_id


async def test_requests_a_minute_are_limited(serve: Serve) -> None:
    async with serve(ECHO) as running:
        client = running.http(await running.add_key(requests_per_minute=3))
        responses = [await client.get("/v1/runs") for _ in range(5)]
        assert [each.status_code for each in responses] == [200, 200, 200, 429, 429]
        assert 1 <= int(responses[-1].headers["retry-after"]) <= 20


def test_a_bucket_refills_steadily() -> None:
    now = [0.0]
    rates = Rates(lambda: now[0])
    for _ in range(60):
        rates.take("key", 60)
    with pytest.raises(ApiError) as caught:
        rates.take("key", 60)
    assert caught.value.retry_after == pytest.approx(1)
    now[0] += 2
    for _ in range(2):
        rates.take("key", 60)
    with pytest.raises(ApiError):
        rates.take("key", 60)
    rates.take("another", 60)


async def test_a_key_s_runs_at_once_are_limited(serve: Serve) -> None:
    async with serve(*SLOW) as running:
        client = running.http(await running.add_key(runs=1))
        await started(client)
        response = await client.post("/v1/runs", json=ASK)
        assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many_runs")
        assert int(response.headers["retry-after"]) >= 1
        assert (await running.http(await running.add_key(runs=1)).post("/v1/runs", json=ASK)).status_code == 202


async def test_a_key_s_budget_caps_the_request_s(serve: Serve) -> None:
    async with serve(ECHO, price=(1, 1)) as running:
        client = running.http(await running.add_key(usd_per_run=Decimal("0.5"), usd_per_day=Decimal(2)))
        run_id = await started(client, model="direct:mine/m", budget={"usd": 100, "depth": 99})
        opened = (await events(client, run_id))[1][2]
        assert opened["budget"]["usd"] == "0.5"
        assert opened["budget"]["depth"] == 3  # the server's own limit
        run_id = await started(client, model="direct:mine/m", budget={"usd": 0.01})
        assert (await events(client, run_id))[1][2]["budget"]["usd"] == "0.01"


async def test_a_spent_key_is_refused_until_tomorrow(serve: Serve) -> None:
    rule = {"matches": ".", "text": "answer", "usage": {"input_tokens": 100_000, "output_tokens": 1}}
    async with serve(rule, price=(1, 1)) as running:
        key = await running.add_key(usd_per_day=Decimal("0.1"))
        client = running.openai(key, max_retries=3)
        await client.chat.completions.create(model="direct:mine/m", messages=ASKED)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="direct:mine/m", messages=ASKED)
        assert caught.value.code == "insufficient_quota"
        assert len(running.model.asked) == 1
        (known,) = await running.service.state.keys()
        assert (await running.service.state.spending(known.id))[0].usd == Decimal("0.100001")


async def test_a_dollar_limit_needs_a_known_price(serve: Serve) -> None:
    async with serve(ECHO, price=None) as running:
        client = running.openai(await running.add_key(usd_per_day=Decimal(1)))
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="direct:mine/m", messages=ASKED)
        assert caught.value.code == "unknown_price"
        assert await running.service.state.runs("", 10) == []
        assert not running.model.asked


async def test_a_full_queue_sends_clients_away_and_takes_them_later(serve: Serve) -> None:
    async with serve({**ECHO, "latency": 0.2}, runs=2, queue=2) as running:
        client = running.http()
        body = {"model": "direct:mine/m", "messages": ASKED}
        responses = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(12)))
        codes = [each.status_code for each in responses]
        assert codes.count(200) == 4
        assert codes.count(429) == 8
        refused = next(each for each in responses if each.status_code == 429)
        assert refused.json()["error"]["code"] == "queue_full"
        assert int(refused.headers["retry-after"]) >= 1
        assert running.model.most_in_flight == 2
        # the official client waits as it is told, and gets its answer
        patient = [running.openai(max_retries=5) for _ in range(8)]
        asked = (each.chat.completions.create(model="direct:mine/m", messages=ASKED) for each in patient)
        assert {each.choices[0].message.content for each in await asyncio.gather(*asked)} == {"answer"}


async def test_two_servers_of_one_name_do_not_run_side_by_side(serve: Serve) -> None:
    async with serve(ECHO):
        with pytest.raises(UsageError, match="--instance"):
            async with open_service(ServeSettings()):
                pass
        async with open_service(ServeSettings(instance="another")) as service:
            assert await service.state.runs("", 1) == []


async def test_a_resumed_run_keeps_its_own_budget_unless_it_is_given_another(serve: Serve) -> None:
    rules = [{"role": "root", "text": "```repl\nprint(len(context))\n```"}, {"matches": ".", "text": "last words"}]
    async with serve(*rules) as running:
        client = running.http()
        run_id = await started(client, budget={"steps": 1})
        await events(client, run_id)
        for body, asked in (({}, 1), ({"budget": {"steps": 2}}, 2)):
            assert (await client.post(f"/v1/runs/{run_id}/resume", json=body)).status_code == 202
            seen = await events(client, run_id)
            assert f"all {asked} steps" in seen[-1][2]["reason"]
