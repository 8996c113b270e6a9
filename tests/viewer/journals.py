"""Journals to look at: one with everything in it, one with thousands of sub-calls, one in which every text is hostile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from longreach.runs import Journal, journal
from longreach.runs.events import (
    AheadEnded,
    AheadStarted,
    CallEnded,
    CallFailed,
    CallRetried,
    CallStarted,
    CodeEnded,
    CodeStarted,
    Compacted,
    Confident,
    Corrected,
    Event,
    LimitReached,
    RunEnded,
    RunOpened,
    RunResumed,
    RunStarted,
    SandboxStarted,
    StepStarted,
)

BEGAN = 1_790_000_000.0
Text = Callable[[str], str]


def plain(text: str) -> str:
    """The text itself; hostile runs put something else in the place of texts."""
    return text


@dataclass
class Writer:
    """Writes a journal with made-up times. `text` is applied to every text that a model, a tool or a user can write."""

    folder: Path
    text: Text = plain
    now: float = 0.0
    conversation: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self._clock(), mock.patch.object(journal, "SMALL_BYTES", 0):  # long texts beside it, as in a large run
            self.journal = Journal(self.folder)

    @contextmanager
    def _clock(self) -> Iterator[None]:
        clock = SimpleNamespace(time=lambda: BEGAN + self.now, sleep=lambda seconds: None)
        with mock.patch.object(journal, "time", clock):
            yield

    def add(self, at: float, *events: Event) -> None:
        """Write events at a moment in seconds since the run began."""
        self.now = at
        with self._clock():
            for event in events:
                self.journal.append(event)

    # --- events, with what does not matter filled in

    def opened(self) -> RunOpened:
        return RunOpened("0", self.text("0.3.0"), [f"/home/someone/{self.text('contracts')}"], {"strategy": "rlm"})

    def run(self, branch: str = "0", query: str = "Which supplier may cancel?", **context: Any) -> RunStarted:
        seen = {"sha256": "c" * 64, "characters": 41_234_567, "parts": 1_723, "sources": ["/home/someone/contracts"]}
        models = {"root": self.text("openai/gpt-5"), "sub": self.text("openai/gpt-5-mini")}
        budget = {"usd": "0.50", "seconds": 120, "steps": 30, "depth": 2}
        settings = {"concurrency": 16, "temperature": 0, "family": self.text("default")}
        return RunStarted(branch, self.text(query), self.text("rlm"), models, budget, seen | context, settings)

    def sandbox(self) -> SandboxStarted:
        layers = [
            {"name": self.text("seccomp"), "active": True, "detail": ""},
            {"name": self.text("landlock"), "active": False, "detail": self.text("kernel too old")},
        ]
        return SandboxStarted("0", self.text("local"), layers)

    def call(self, name: str, prompt: str, purpose: str = "sub", model: str = "openai/gpt-5-mini") -> CallStarted:
        messages = [{"role": "user", "content": self.text(prompt)}]
        return self._started(CallStarted, name, messages, purpose, model)

    def root_call(self, name: str, prompt: str) -> CallStarted:
        if not self.conversation:
            self.conversation.append({"role": "system", "content": self.text("You answer questions about a context.")})
        self.conversation.append({"role": "user", "content": self.text(prompt)})
        return self._started(CallStarted, name, list(self.conversation), "root", "openai/gpt-5")

    def ahead(self, name: str, prompt: str) -> AheadStarted:
        started = self.call(name, prompt)
        fields = (started.call, started.model, started.key, started.messages, started.parameters, started.reserved)
        return AheadStarted(started.branch, *fields)

    def ahead_ended(self, name: str, text: str) -> AheadEnded:
        ended = self.ended(name, text)
        fields = (ended.text, ended.reasoning, ended.usage, ended.usage_estimated, ended.cost_usd, ended.stop_reason)
        return AheadEnded(ended.branch, name, *fields, ended.latency)

    def _started(
        self, kind: type[CallStarted], name: str, messages: Sequence[dict[str, str]], purpose: str, model: str
    ) -> CallStarted:
        key = hashlib.sha256(repr(messages).encode("utf-8", "surrogatepass")).hexdigest()
        reserved = {"calls": 1, "tokens": 9_000, "usd": "0.01"}
        parameters = {"max_tokens": 8_192, "temperature": 0, "stop": [self.text("END")]}
        return kind(name.split("/")[0], name, purpose, self.text(model), key, messages, parameters, reserved)

    def ended(self, name: str, text: str, latency: float = 1.0, cost: str | None = "0.0002", **more: Any) -> CallEnded:
        usage = {"input_tokens": 700, "cached_input_tokens": 0, "output_tokens": 20, "reasoning_tokens": 5}
        fields = {"reasoning": "", "stop_reason": "stop", "reused_from": None} | more
        return CallEnded(
            name.split("/")[0],
            name,
            self.text(text),
            self.text(fields["reasoning"]),
            usage,
            False,
            cost,
            self.text(fields["stop_reason"]),
            latency,
            fields["reused_from"],
        )

    def said(self, name: str, text: str, **more: Any) -> CallEnded:
        """The root model's reply, which the next root call has in its conversation."""
        self.conversation.append({"role": "assistant", "content": self.text(text)})
        return self.ended(name, text, cost="0.004", **more)

    def code(self, step: int, code: str, branch: str = "0") -> CodeStarted:
        return CodeStarted(branch, step, self.text(code))

    def printed(self, step: int, output: str, branch: str = "0", **more: Any) -> CodeEnded:
        variables = [{"name": self.text("names"), "type": self.text("list"), "size": self.text("60 items")}]
        fields = {"status": "ok", "error": None, "final": None, "lost": None, "draft": ""} | more
        return CodeEnded(
            branch,
            step,
            fields["status"],
            self.text(output),
            12,
            fields["error"],
            variables,
            fields["final"],
            0.3,
            fields["lost"],
            fields["draft"],
            0.7,
        )

    def end(self, status: str = "complete", text: str = "Northwind.", branch: str = "0", **usage: Any) -> RunEnded:
        by_model = {self.text("openai/gpt-5"): {"calls": 2, "input_tokens": 9, "output_tokens": 8, "cost_usd": "0.01"}}
        totals = {"steps": 3, "calls": 9, "input_tokens": 6_300, "output_tokens": 180, "cost_usd": "0.0214"}
        reason = "" if status == "complete" else self.text("the budget is spent")
        return RunEnded(branch, status, self.text(text), reason, 0.9, totals | {"by_model": by_model} | usage)


LOOK = "# Look at the parts\nfor name in list(context.parts)[:5]:\n    print(name, f'{len(context[name]):,}')\n"
ASK = "# Ask about each part\nreplies = llm_query_batched(['May it cancel?\\n' + context[n] for n in names])\n"
HAND_IN = "FINAL('Northwind.')"


def fenced(code: str, words: str) -> str:
    return f"{words}\n\n```repl\n{code}\n```\n"


def begin_small_run(folder: Path, text: Text = plain) -> Writer:
    """The first two steps of a run in which everything happens once: 12 s."""
    w = Writer(folder, text)
    w.add(0.0, w.opened(), w.run(text=text("The whole context. " * 80), places=[]), w.sandbox())
    w.add(0.5, StepStarted("0", 1), w.root_call("0/s1/c1", "The question: which supplier may cancel?"))
    w.add(2.0, w.said("0/s1/c1", fenced(LOOK, "I look first."), latency=1.4, reasoning="The parts first."))
    w.add(2.1, w.code(1, LOOK))
    w.add(2.4, w.printed(1, "northwind.txt 2,104\ncalder.txt 1,990\n", draft="Perhaps Northwind."))
    w.add(2.5, StepStarted("0", 2), w.root_call("0/s2/c1", "northwind.txt 2,104\ncalder.txt 1,990"))
    w.add(4.0, w.said("0/s2/c1", fenced(ASK, "Each is short. I ask about each.")))
    w.add(4.1, w.code(2, ASK))
    for number in range(2, 10):
        call = w.call(f"0/s2/c{number}", f"May it cancel? Part {number}. " + "Clause. " * 200)
        w.add(4.1 + number / 100, replace(call, waited_seconds=0.04 if number == 4 else 0.0))
    limited = text("429: slow down")
    w.add(4.6, CallRetried("0", "0/s2/c3", "RateLimited", limited, 0.8, False))
    for number in (2, 4, 5, 6, 7, 8):
        w.add(5.0 + number / 10, w.ended(f"0/s2/c{number}", f"No, part {number} may not.", latency=0.9))
    w.add(6.2, w.ended("0/s2/c3", "Yes, clause 5.", latency=0.8))
    w.add(6.4, CallFailed("0", "0/s2/c9", "ModelTimeout", text("no answer in 60 s"), True))
    w.add(6.5, w.ahead("0/s2/a1", "And the fee of part 3?"), w.ahead("0/s2/a2", "And the fee of part 4?"))
    w.add(7.4, w.ahead_ended("0/s2/a1", "EUR 40"), w.ahead_ended("0/s2/a2", "EUR 50"))
    w.add(7.6, w.call("0/s2/c10", "And the fee of part 3?"), w.ended("0/s2/c10", "EUR 40", latency=0.9))
    w.add(
        7.7, w.call("0/s2/c11", "May it cancel? Part 2."), w.ended("0/s2/c11", "No.", 0.0, "0", reused_from="0/s2/c2")
    )
    w.add(7.8, w.run("0.1", "What is the fee?"), StepStarted("0.1", 1), w.call("0.1/s1/c1", "The fee?", "root"))
    w.add(8.8, w.ended("0.1/s1/c1", fenced(HAND_IN, "Here.")), w.code(1, HAND_IN, "0.1"))
    w.add(8.9, w.printed(1, "", "0.1", final=text("EUR 40")), w.end(branch="0.1", text="EUR 40"))
    error = {"type": "NameError", "message": text("name 'nam' is not defined"), "traceback": text("Traceback ...")}
    w.add(9.0, w.printed(2, "", status="error", error=error, lost={text("model"): text("cannot be pickled")}))
    w.add(9.1, StepStarted("0", 3), w.root_call("0/s3/c1", "NameError: name 'nam' is not defined"))
    w.add(10.0, w.said("0/s3/c1", "I am done."))
    w.add(10.1, Corrected("0", 3, "no_code", text("Write your code in a fence.")))
    w.add(10.2, Compacted("0", 3, 4, text("What was said before.")), LimitReached("0", "usd", text("usd are spent")))
    return w


def small_run(folder: Path, text: Text = plain) -> Path:
    """The whole of it, resumed once: partial, 14 s of work."""
    w = begin_small_run(folder, text)
    w.add(60.0, RunResumed("0", 2), Confident("0", 3, 0.93, "agreement"))
    w.add(62.0, w.call("0/s3/c2", "Give the best answer you can.", "last", "openai/gpt-5"))
    w.add(63.5, w.ended("0/s3/c2", "Northwind.", cost=None))
    w.add(63.6, w.call("0/s2/a2", "And the fee of part 4?", "speculative"), w.ended("0/s2/a2", "EUR 50"))
    w.add(63.8, w.end("partial", seconds=14.0))
    w.journal.close()
    return folder


def large_run(folder: Path, calls: int = 5_000, concurrency: int = 32) -> Path:
    """A step with thousands of sub-calls, every fourth with a prompt so long that it is stored as a text."""
    w = Writer(folder)
    w.add(0.0, w.run(), w.sandbox(), StepStarted("0", 1), w.root_call("0/s1/c1", "The question"))
    w.add(1.0, w.said("0/s1/c1", fenced(ASK, "I ask about all of them.")), w.code(1, ASK))
    starts = [(1.0 + (number // concurrency) * 0.8 + number % 7 / 50, number) for number in range(calls)]
    ends = [(began + 0.4 + number * 37 % 31 / 100, number) for began, number in starts]
    moments = sorted([(at, 0, number) for at, number in starts] + [(at, 1, number) for at, number in ends])
    for at, ended, number in moments:
        name = f"0/s1/c{number + 2}"
        if not ended:
            clauses = f"Clause {number}. " * (110 if number % 4 == 0 else 50)
            w.add(at, w.call(name, f"Part {number}: may the supplier cancel? {clauses}"))
        elif number % 500 == 99:
            w.add(at, CallFailed("0", name, "ModelTimeout", "no answer in 60 s", True))
        else:
            w.add(at, w.ended(name, f"No. Part {number} asks for notice.", latency=0.4))
    w.add(moments[-1][0] + 0.1, w.printed(1, "1 of 5,000 may"), w.end(calls=calls))
    w.journal.close()
    return folder


PAYLOADS = (
    "<script>window.ran = 1; fetch('http://192.0.2.1/')</script>",
    "</script><script>window.ran = 1</script>",
    "<!--<script>",
    "]]></textarea></title></style></pre><img src=http://192.0.2.1/x.png onerror='window.ran = 1'>",
    "<svg onload='window.ran = 1'><iframe src='javascript:parent.ran = 1'></iframe></svg>",
    "[a link](javascript:window.ran=1) javascript:window.ran=1 http://192.0.2.1/ data:text/html,<b>",
    "\"' onmouseover='window.ran = 1' autofocus onfocus='window.ran = 1' x='",
    "${window.ran = 1} {{window.ran = 1}} `;window.ran = 1;`",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 \x08 \x9b2J \r over",
    "\u202egnp.exe\u202c \u2066isolate\u2069 \u200b \ufeff \u2028 \u2029 \U000e0041 \ud800",
    "__proto__ constructor toString",
    "x" * 30_000,
)


def hostile(text: str) -> str:
    """Every payload, with the text that stands there otherwise."""
    return f"{text}\n" + "\n".join(PAYLOADS)
