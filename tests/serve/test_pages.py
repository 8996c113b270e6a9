from __future__ import annotations

import pytest

from tests.browser import Tab
from tests.serve.conftest import TEXT, Running, Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED = {"model": "rlm:mine/m", "query": "What is the secret number?", "context": TEXT}


async def start(running: Running, key: str = "") -> str:
    response = await running.http(key).post("/v1/runs", json=ASKED)
    assert response.status_code == 202, response.text
    run_id: str = response.json()["id"]
    return run_id


async def test_the_page_lists_runs_and_follows_one(serve: Serve, tab: Tab) -> None:
    async with serve(latency=0.4) as running:
        run_id = await start(running)
        await tab.page.goto(running.url)
        await tab.page.get_by_role("link", name=run_id).click()
        await tab.page.get_by_text("live", exact=True).wait_for()
        await tab.row("run, What is the secret number?, complete")
        await tab.row("step 2")
        await tab.keys("/")
        await tab.page.keyboard.type("it is 4711")
        await tab.page.locator(".search .count").get_by_text("1 of").wait_for()
        assert {each.split("/")[2] for each in tab.requests} == {running.url.split("/")[2]}
    assert not tab.problems


async def test_a_key_is_asked_for_and_shows_its_own_runs(serve: Serve, tab: Tab) -> None:
    async with serve() as running:
        mine, other = await running.add_key("mine"), await running.add_key("other")
        run_id, hidden = await start(running, mine), await start(running, other)
        await tab.page.goto(running.url)
        field = tab.page.get_by_label("Key", exact=True)
        await field.fill("lr-wrong")
        await field.press("Enter")
        await tab.page.get_by_text("this API key is not known here").wait_for()
        await field.fill(mine)
        await field.press("Enter")
        await tab.page.get_by_role("link", name=run_id).wait_for()
        assert await tab.page.get_by_role("link", name=hidden).count() == 0
        await tab.page.get_by_role("link", name=run_id).click()
        await tab.row("run, What is the secret number?, complete")
        await tab.page.reload()  # the key stays in this tab
        await tab.row("run, What is the secret number?, complete")
        assert not any(mine in each for each in tab.requests)
        assert await tab.page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"
        await tab.page.goto(f"{running.url}#run={hidden}")
        await tab.page.get_by_text("you have no run").wait_for()


async def test_what_the_page_asks_for_is_for_the_runs_owner(serve: Serve) -> None:
    async with serve() as running:
        mine, other = await running.add_key("mine"), await running.add_key("other")
        run_id = await start(running, mine)
        for path in (f"/v1/runs/{run_id}/heads?of=", f"/v1/runs/{run_id}/search?q=secret"):
            assert (await running.http(mine).get(path)).status_code == 200
            assert (await running.http(other).get(path)).status_code == 404
            assert (await running.http().get(path)).status_code == 401
        assert (await running.http(mine).get("/v1/runs/..%2f..%2fx/search?q=s")).status_code == 404
        assert (await running.http(mine).get(f"/v1/runs/{run_id}/search?q={'x' * 1_001}")).status_code == 400
        page = await running.http().get("/")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await running.http().get("/page/app.js")).headers["content-type"].startswith("text/javascript")
        assert (await running.http().get("/page/..%2fserver.py")).status_code == 404


SLOW = [
    {"role": "root", "turn": 1, "text": "```repl\nprint(len(context))\n```"},
    {"role": "root", "turn": 2, "text": "```repl\nFINAL(llm_query('number'))\n```"},
    {"role": "sub", "call": 1, "contains": "number", "text": "late", "latency": 3600},
    {"role": "sub", "contains": "number", "text": "4711"},
]


async def test_a_run_is_cancelled_and_resumed(serve: Serve, tab: Tab) -> None:
    page = tab.page
    cancel, resume = page.get_by_role("button", name="Cancel run"), page.get_by_role("button", name="Resume run")
    asking = page.get_by_role("dialog", name="Cancel this run?")
    async with serve(*SLOW) as running:
        key = await running.add_key("mine")
        run_id = await start(running, key)
        await page.add_init_script(f"sessionStorage.setItem('longreach-api-key', '{key}')")
        await page.goto(f"{running.url}#run={run_id}")
        await tab.row("step 2")
        assert await resume.count() == 0
        await cancel.press("Enter")
        assert await asking.get_by_role("button", name="Let it go on").evaluate(
            "each => each === document.activeElement"
        )
        await tab.keys("f", "Escape")  # keys of the tree do nothing while it is open
        await asking.wait_for(state="hidden")
        assert await page.get_by_label("Show", exact=True).input_value() == "all"
        assert await cancel.evaluate("each => each === document.activeElement")

        await tab.keys("Enter", "Tab", "Enter")
        await page.get_by_role("status").get_by_text("cancelled", exact=True).wait_for()
        await tab.row("run, What is the secret number?, partial")
        assert await cancel.count() == 0
        assert await resume.evaluate("each => each === document.activeElement")

        await tab.keys("Enter")
        await tab.row("run, What is the secret number?, complete")
        await resume.wait_for(state="hidden")
        assert await page.locator(".control button:visible").count() == 0
        shown = (await running.http(key).get(f"/v1/runs/{run_id}")).json()
        assert (shown["status"], shown["answer"]["text"]) == ("complete", "4711")
    assert not tab.problems


async def test_a_run_whose_budget_was_spent_is_resumed_with_more(serve: Serve, tab: Tab) -> None:
    page = tab.page
    async with serve() as running:
        asked = ASKED | {"budget": {"calls": 1, "steps": 9}}
        run_id = (await running.http().post("/v1/runs", json=asked)).json()["id"]
        await page.goto(f"{running.url}#run={run_id}")
        await tab.row("run, What is the secret number?, partial")
        await page.get_by_role("button", name="Resume with more…").click()
        larger = page.get_by_role("dialog", name="Resume with a larger budget")
        assert await larger.get_by_label("Steps").input_value() == "9"
        assert await larger.get_by_label("Tokens").count() == 0
        await larger.get_by_label("Calls").fill("20")
        await tab.keys("Enter")
        await tab.row("run, What is the secret number?, complete")
    assert not tab.problems


async def test_what_cannot_be_done_is_said(serve: Serve, tab: Tab) -> None:
    page = tab.page
    async with serve(*SLOW) as running:
        run_id = await start(running)
        await page.goto(f"{running.url}#run={run_id}")
        await tab.row("step 2")
        await running.http().post(f"/v1/runs/{run_id}/cancel")
        resume = page.get_by_role("button", name="Resume run")
        await resume.wait_for()
        running.service.runner.draining = True
        await resume.click()
        await page.get_by_role("status").get_by_text("the server is shutting down").wait_for()
        assert await resume.is_enabled()
        running.service.runner.draining = False
    assert [each for each in tab.problems if "503" not in each] == []


async def test_a_run_that_has_not_begun_is_cancelled(serve: Serve, tab: Tab) -> None:
    page = tab.page
    async with serve({"matches": ".", "text": "late", "latency": 3600}, runs=1, queue=1) as running:
        working, queued = await start(running), await start(running)
        await page.goto(f"{running.url}#run={queued}")
        await page.get_by_role("button", name="Cancel run").click()
        await page.get_by_role("button", name="Cancel the run").click()
        await page.get_by_role("status").get_by_text("cancelled", exact=True).wait_for()
        await tab.row("run, What is the secret number?, partial")
        await page.get_by_role("button", name="Resume run").wait_for()
        await running.http().post(f"/v1/runs/{working}/cancel")
    assert not tab.problems
