"""The OpenAPI document, requests that schemathesis makes from it, and the metrics."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import defaultdict
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis.strategies import just
from schemathesis import GenerationMode
from schemathesis.checks import response_schema_conformance

from longreach.serve.application import create_application
from longreach.serve.openapi import document
from longreach.serve.routes import ROUTES
from longreach.serve.settings import DiskLimits, ServeSettings, TimeLimits
from tests.serve.conftest import FIND, Serve
from tests.serve.test_runs import events, started

EXAMPLES = 8
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
ANSWER = {"matches": ".", "text": "answer"}


def test_the_document_has_every_route_and_explains_it() -> None:
    paths = document()["paths"]
    assert {(path, method.upper()) for path, found in paths.items() for method in found} == {
        (e.path, e.method) for e in ROUTES
    }
    for found in paths.values():
        for operation in found.values():
            assert operation["summary"]
    properties = document()["components"]["schemas"]["BudgetBody"]["properties"]
    assert set(properties) == {"usd", "tokens", "calls", "seconds", "steps", "depth", "confidence"}
    json.dumps(document())


@pytest.mark.timeout(300)  # on a busy machine; most of it is schemathesis's own thinking
async def test_schemathesis_finds_no_request_that_breaks_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longreach.runs.journal.SMALL_BYTES", 0)
    async with serve(ANSWER, disk=DiskLimits(upload=1 << 20)) as running:
        client = running.http()
        run_id = await started(client, model="direct:mine/m")
        seen = await events(client, run_id)
        sha256 = seen[1][2]["context"]["text"]["$text"]
        known = {"run_id": run_id, "sha256": sha256, "of": sha256, "q": "e"}
        answered = await asyncio.to_thread(attack, running.url, known)
        assert (await client.get("/healthz")).status_code == 200
    # 5xx with a reason (a model that failed, a full disk) are not breakage; none of them is expected here either
    assert {key: requests for key, requests in answered.items() if key[1] >= 500} == {}
    for reached in (
        "POST /v1/chat/completions",
        "GET /v1/runs/{run_id}/events",
        "GET /v1/runs/{run_id}/texts/{sha256}",
    ):
        assert answered[reached, 200]
    for found_in in ("GET /v1/runs/{run_id}/heads", "GET /v1/runs/{run_id}/search"):
        assert any(f'{{"{known["sha256"]}":' in each for each in answered[found_in, 200])
        assert answered[found_in, 404], "of runs that are not there"
    assert answered["POST /v1/runs", 202]
    assert answered["POST /v1/chat/completions", 400]
    assert sum(map(len, answered.values())) > EXAMPLES * len(ROUTES)


def attack(url: str, known: dict[str, str]) -> dict[tuple[str, int], list[str]]:
    """Send what schemathesis thinks of, half of it valid; requests by operation and status."""
    schema = schemathesis.openapi.from_dict(document())
    answered: dict[tuple[str, int], list[str]] = defaultdict(list)

    def send(case: Any, mode: GenerationMode) -> None:
        if mode is GenerationMode.POSITIVE:
            # what exists, so that requests get as far as they can
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            case.query |= {name: known[name] for name in ("of", "q") if name in case.query}
            if isinstance(case.body, dict) and "model" in case.body:
                case.body.pop("context_id", None)
                case.body["model"] = "direct:mine/m"
                case.body.get("messages", []).append({"role": "user", "content": "a question"})
        response = case.call(base_url=url, timeout=20)
        case.validate_response(response, checks=[response_schema_conformance])
        name = f"{case.method} {case.operation.path}"
        answered[name, response.status_code].append(
            f"{case.formatted_path} {str(case.body)[:500]}: {response.text[:500]}"
        )

    found: Any = schema.get_all_operations()
    for result in found:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            strategy = result.ok().as_strategy(generation_mode=mode)
            with contextlib.suppress(
                hypothesis.errors.Unsatisfiable
            ):  # an operation without parameters has no wrong ones
                SETTINGS(hypothesis.given(case=strategy, mode=just(mode))(send))()
    return answered


async def test_metrics_count_and_tell_nothing_private(serve: Serve) -> None:
    async with serve(*FIND, price=(1, 1)) as running:
        client = running.http()
        await events(client, await started(client, query="A very private question"))
        await client.get("/v1/runs/20260101-000000-abcdef")
        text = (await client.get("/metrics")).text
    assert re.search(r'longreach_runs_total\{status="complete",strategy="rlm"\} 1.0', text)
    assert re.search(r'longreach_model_calls_total\{model="mine/m"\} 3.0', text)
    assert re.search(r'longreach_requests_total\{method="GET",route="/v1/runs/\{run_id\}",status="404"\} 1.0', text)
    assert re.search(r'longreach_cost_usd_total\{model="mine/m"\} 0.00', text)
    assert "longreach_runs_working 0.0" in text
    assert "private" not in text


def test_an_application_can_be_made_without_being_served() -> None:
    application = create_application(ServeSettings(time=TimeLimits(drain=0)))
    assert {route.path for route in application.routes} >= {"/v1/chat/completions", "/healthz", "/openapi.json"}  # type: ignore[attr-defined]
