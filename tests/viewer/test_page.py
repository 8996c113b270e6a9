from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.browser import Tab
from tests.viewer.conftest import Exported
from tests.viewer.journals import small_run

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = [
    "run, Which supplier may cancel?, partial, 14 s, 10.8k tokens, $0.0140, 5 problems below",
    "step 1, Look at the parts, 2.0 s, 720 tokens, $0.0040",
    "reply, I look first., 1.5 s, 720 tokens, $0.0040",
    "code, Look at the parts, 0.3 s",
    "output, northwind.txt 2,104 calder.txt 1,990",
    "step 2, Ask about each part, 6.6 s, 8.6k tokens, $0.0060, 3 problems below",
    "reply, Each is short. I ask about each., 1.5 s, 720 tokens, $0.0040",
    "code, Ask about each part, failed, 4.9 s",
    "calls, 11 sub-calls: 10 answered, 1 failed, 1 reused, 2 sent ahead, 1 never used, 3.6 s, 7.2k tokens, $0.0018, 2 problems below",
    "child run, What is the fee?, complete, 1.1 s, 720 tokens, $0.00020",
    "output, NameError: name 'nam' is not defined, failed",
    "step 3, I am done., 4.9 s, 1.4k tokens, $0.0040, 2 problems below",
    "reply, I am done., 0.9 s, 720 tokens, $0.0040",
    "corrected, no code: Write your code in a fence.",
    "shortened, 4 messages of the conversation replaced by a summary",
    "limit, usd are spent",
    "resumed, process 2 goes on with the run",
    "confident, 0.93, agreement: the run stops early",
    "last answer, Northwind., 1.5 s, 720 tokens",
]


@pytest_asyncio.fixture(loop_scope="session")
async def small(tab: Tab, exported: Exported, tmp_path: Path) -> Tab:
    await tab.page.goto(exported(small_run(tmp_path / "a-run")))
    await tab.row("run")
    return tab


async def selected(tab: Tab) -> str:
    """The words of the row that the tree's focus is on."""
    words: str = await tab.page.evaluate(
        """() => {
            const tree = document.querySelector('[role=tree]');
            if (document.activeElement !== tree) return 'the tree has no focus';
            const row = document.getElementById(tree.getAttribute('aria-activedescendant'));
            return `${row.getAttribute('aria-level')} ${row.getAttribute('aria-label').split(',')[0]}`;
        }"""
    )
    return words


async def detail(tab: Tab) -> str:
    await tab.page.wait_for_timeout(60)
    return str(await tab.page.inner_text(".detail"))


async def test_a_run_is_shown_as_a_tree_and_nothing_is_fetched(small: Tab) -> None:
    assert await small.rows() == ROWS
    assert not small.problems
    assert len(small.requests) == 1  # the file itself
    assert await small.page.inner_text("h1") == "a-run\npartial"
    meters = await small.page.locator(".run-head .meter").all_inner_texts()
    assert "cost\n$0.0214 of $0.50" in meters


async def test_the_tree_by_keyboard(small: Tab) -> None:
    await small.keys("ArrowDown")  # nothing has the focus yet
    assert await selected(small) == "1 run"
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowRight", "ArrowRight"):
        await small.keys(key)
        seen.append(await selected(small))
    assert seen == ["2 step 1", "3 reply", "2 step 1", "2 step 1", "2 step 2", "3 reply", "3 reply"]
    await small.keys("End")
    assert await selected(small) == "3 last answer"
    await small.keys("Enter")
    assert await small.page.evaluate("document.activeElement.className") == "detail"
    await small.keys("Escape", "Home")
    assert await selected(small) == "1 run"
    await small.keys("ArrowLeft")
    assert len(await small.rows()) == 1
    await small.keys("ArrowRight", "*")
    assert len(await small.rows()) == len(ROWS) - 3  # step 1 is still closed


async def test_rows_say_where_they_stand(small: Tab) -> None:
    row = await small.row("step 2")
    wanted = {"level": "2", "posinset": "2", "setsize": "3", "expanded": "true", "selected": "false"}
    assert {name: await row.get_attribute(f"aria-{name}") for name in wanted} == wanted
    calls = await small.row("calls")
    assert await calls.get_attribute("aria-expanded") == "false"
    await calls.locator(".twisty").click()
    assert await calls.get_attribute("aria-expanded") == "true"
    for number, reply in (2, "No, part 2 may not."), (3, "Yes, clause 5."), (4, "No, part 4 may not."):
        call = await small.row(f"call, May it cancel? Part {number}. Clause.")
        assert await call.get_attribute("aria-posinset") == str(number - 1)
        assert f"→ {reply}" in str(await call.get_attribute("aria-label"))
    assert "retried 1×" in (await small.rows())[10]


async def test_details_of_each_kind(small: Tab) -> None:
    shown = {}
    for name in ("run", "step 1", "calls", "output, NameError", "last", "shortened"):
        await (await small.row(name)).click()
        shown[name] = await detail(small)
    assert "41,234,567 characters in 1,723 parts, from contracts" in shown["run"]
    assert "landlock (kernel too old)" in shown["run"]
    assert "/home/someone" not in await small.page.content()
    assert "I look first." in shown["step 1"]
    assert "Perhaps Northwind." in shown["step 1"]
    assert "11 sub-calls" in shown["calls"]
    assert "ModelTimeout: no answer in 60 s" in shown["calls"]
    assert "Traceback ..." in shown["output, NameError"]
    assert "cannot be pickled" in shown["output, NameError"]
    assert "unknown" in shown["last"]
    assert "What was said before." in shown["shortened"]
    await (await small.row("reply, Each")).click()
    assert "2 earlier messages as in the step before" in await detail(small)
    code = small.page.locator(".detail .py-repl")
    assert "llm_query_batched" in await code.all_inner_texts()


async def test_search_goes_through_all_texts(small: Tab) -> None:
    await small.keys("/")
    await small.page.keyboard.type("part 3")
    count = small.page.locator(".search .count")
    await count.get_by_text("places").wait_for()
    assert await count.inner_text() == "1 of 2 places · 2×"
    await chosen(small, "call, May it cancel? Part 3.")
    marked = "[...CSS.highlights.get('search')].map((range) => range.toString())"
    await small.page.wait_for_function("() => CSS.highlights.has('search')")
    assert await small.page.evaluate(marked) == ["Part 3"]
    await small.keys("Enter")
    await chosen(small, "call, And the fee of part 3?")
    await small.keys("Enter")
    await chosen(small, "call, May it cancel? Part 3.")
    await small.page.fill(".search input", "clause. clause.")  # in texts that are stored beside the journal
    await count.get_by_text("8 places").wait_for()
    await small.page.fill(".search input", "not to be found")
    await count.get_by_text("nothing found").wait_for()


async def chosen(tab: Tab, words: str) -> None:
    """Wait until a row that begins with these words is the chosen one."""
    await tab.page.locator(f'[role=treeitem][aria-selected=true][aria-label^="{words}"]').wait_for()


async def test_only_problems(small: Tab) -> None:
    await small.page.get_by_role("tree").focus()
    await small.keys("f")
    await small.page.wait_for_function("() => document.querySelectorAll('[role=treeitem]:not([hidden])').length < 10")
    rows = await small.rows()
    assert [each.split(",")[0] for each in rows] == (
        ["run", "step 2", "calls", "call", "call", "output", "step 3", "corrected", "limit"]
    )
    await small.page.select_option("select", "ahead")
    await small.page.wait_for_function("() => document.querySelectorAll('[role=treeitem]:not([hidden])').length < 9")
    rows = await small.rows()
    assert [each.split(",")[0] for each in rows] == ["run", "step 2", "calls", "call", "call"]
    assert "sent ahead" in rows[3]
    assert "never used" in rows[4]


async def test_bars_show_what_ran_when(small: Tab) -> None:
    await (await small.row("calls")).locator(".twisty").click()
    retried = await small.row("call, May it cancel? Part 3.")
    bars: list[dict[str, Any]] = await retried.evaluate(
        """(row) => [...row.querySelectorAll('.bar')].map(
            ({ classList, style }) => ({ kind: classList[1], left: parseFloat(style.left), width: parseFloat(style.width) }))"""
    )
    assert [bar["kind"] for bar in bars] == ["failed", "wait", "work"]
    assert all(0 <= bar["left"] <= 100 and bar["left"] + bar["width"] <= 100.2 for bar in bars)
    assert [round(one["left"] + one["width"] - other["left"], 1) for one, other in pairwise(bars)] == [0, 0]
    queued = (await small.row("call, May it cancel? Part 4.")).locator(".bar")
    kinds = await queued.evaluate_all("bars => bars.map(({ classList }) => classList[1])")
    assert kinds == ["wait", "wait", "work"], "for its slot, then to be begun, then at work"
    before = bars[-1]["width"]
    await small.page.get_by_role("tree").focus()
    await small.keys("+")
    await small.page.wait_for_function(
        """(before) => {
            const row = document.querySelector('[aria-label^="call, May it cancel? Part 3."]');
            return Math.abs(parseFloat(row.querySelector('.bar.work').style.width) / before - 2) < 0.02;
        }""",
        arg=before,
    )


async def test_light_and_dark(small: Tab) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    await small.page.emulate_media(color_scheme="dark")
    assert await small.page.evaluate(ground) == "rgb(21, 23, 28)"
    await small.page.get_by_label("Colours: auto").click()
    assert await small.page.evaluate(ground) == "rgb(255, 255, 255)"
    await small.page.reload()
    await small.page.get_by_label("Colours: light").click()
    assert await small.page.get_by_label("Colours: dark").count() == 1
    assert await small.page.evaluate(ground) == "rgb(21, 23, 28)"


async def test_help_and_a_narrow_window(small: Tab) -> None:
    await small.keys("?")
    assert await small.page.locator("dialog.help").is_visible()
    await small.keys("Escape")
    await small.page.set_viewport_size({"width": 390, "height": 780})
    assert not await small.page.locator(".detail").is_visible()
    await (await small.row("step 1")).click()
    await small.page.get_by_role("tree").focus()
    await small.keys("Enter")
    assert await small.page.locator(".detail").is_visible()
    assert await small.page.evaluate("document.documentElement.scrollWidth") == 390
    await small.page.get_by_role("button", name="Back to the tree").click()
    assert await small.page.get_by_role("tree").is_visible()
