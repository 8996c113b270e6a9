"""A running server with a scripted model behind it, both on loopback, and the official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from longreach.models.script import parse_script
from longreach.models.scripted_server import ScriptedServer
from longreach.serve.keys import hash_key, make_key
from longreach.serve.server import Server
from longreach.serve.service import Service
from longreach.serve.settings import ServeSettings, TimeLimits
from longreach.serve.state import KeyLimits

TEXT = "".join(f"Line {number}: nothing of note.\n" for number in range(300)) + "The secret number is 4711.\n"
ASKED = [
    {"role": "user", "content": TEXT},
    {"role": "user", "content": "What is the secret number?"},
]
FIND = [
    {
        "role": "root",
        "turn": 1,
        "text": "I look.\n```repl\nprint(context[-28:])\nprint(llm_query('number in ' + context[-28:]))\n```\n",
    },
    {"role": "root", "turn": 2, "text": "```repl\nFINAL('4711')\n```"},
    {"role": "sub", "contains": "number", "text": "it is 4711"},
]


@dataclass
class Running:
    """A server, the model behind it, and clients."""

    server: Server
    model: ScriptedServer
    clients: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def service(self) -> Service:
        service: Service = self.server.application.state.service
        return service

    def openai(self, key: str = "none", **options: Any) -> Any:
        """The official client; untyped, since we send what its types do not know."""
        client = AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, **{"max_retries": 0, **options})
        self.clients.append(client)
        return client

    def http(self, key: str = "", **headers: str) -> httpx2.AsyncClient:
        sent = {"Authorization": f"Bearer {key}", **headers} if key else headers
        client = httpx2.AsyncClient(base_url=self.url, headers=sent, timeout=30)
        self.clients.append(client)
        return client

    async def add_key(self, name: str = "a key", **limits: Any) -> str:
        secret, key = make_key(name, KeyLimits(**limits))
        await self.service.state.add_key(key, hash_key(secret))
        return secret

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 what is waited for has no event
            await asyncio.sleep(0.01)


Serve = Callable[..., AbstractAsyncContextManager[Running]]


def write_endpoint(home: Path, base_url: str, price: tuple[float, float] | None = (0, 0)) -> None:
    """Makes the models of the server at this URL known as mine/NAME."""
    home.mkdir(parents=True, exist_ok=True)
    lines = [f'[mine]\nbase_url = "{base_url}"\ncontext_window = 100000']
    lines += [f"price = [{price[0]}, {price[1]}]"] if price else []
    (home / "endpoints.toml").write_text("\n".join(lines), "utf-8")


@pytest.fixture
def serve(longreach_home: Path) -> Serve:
    """`async with serve(rules, setting=...) as running`; the model's requests are in `running.model.asked`."""

    @asynccontextmanager
    async def start(
        *rules: dict[str, Any], price: tuple[float, float] | None = (0, 0), latency: float = 0.0, **settings: Any
    ) -> AsyncIterator[Running]:
        script = parse_script({"rules": list(rules or FIND)})
        async with ScriptedServer(script, latency=latency) as model:
            write_endpoint(longreach_home, model.base_url, price)
            values = {"port": 0, "models": ("mine/*",), "time": TimeLimits(drain=0.1), **settings}
            server = Server(ServeSettings(**values))
            task = asyncio.create_task(server._serve())
            while not server.started and not task.done():  # noqa: ASYNC110 uvicorn has no event for it
                await asyncio.sleep(0.005)
            if task.done():
                task.result()
            running = Running(server, model)
            try:
                yield running
            finally:
                for client in running.clients:
                    await (client.close() if isinstance(client, AsyncOpenAI) else client.aclose())
                server.should_exit = True
                await task

    return start


def events_of(text: str) -> list[dict[str, Any]]:
    """The JSON of each server-sent event."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
