"""`longreach keys`: who may use the server, and for how much.

Covers: making, listing and revoking API keys, in the server's database, while it runs or not. Does not cover: what the limits mean
(`serve.state.values.KeyLimits`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from longreach.cli import values
from longreach.cli.serve import add_database_options
from longreach.cli.streams import output_console
from longreach.cli.untrusted import clean
from longreach.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from longreach.serve.state import Key, Spending, State

__all__ = ["register", "run"]

T = TypeVar("T")
LIMITS = (
    "usd",
    "usd_per_day",
    "usd_per_run",
    "tokens",
    "tokens_per_day",
    "tokens_per_run",
    "requests_per_minute",
    "runs",
)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the sub-command and its own sub-commands."""
    parser = commands.add_parser(
        "keys",
        help="make, list and revoke the server's API keys",
        description="The API keys of `longreach serve`. What is changed here holds from the next request on.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add", help="make a key and print it, once", description="Make a key. It is printed once and kept as a hash."
    )
    add.add_argument("name", metavar="NAME", help="whose it is, or what for")
    for name in ("usd", "usd_per_day", "usd_per_run"):
        add.add_argument(
            f"--{name.replace('_', '-')}", type=values.dollars, metavar="X", help=_help(name, "US dollars")
        )
    for name in ("tokens", "tokens_per_day", "tokens_per_run"):
        add.add_argument(f"--{name.replace('_', '-')}", type=values.count, metavar="N", help=_help(name, "tokens"))
    add.add_argument("--requests-per-minute", type=values.count, default=600, metavar="N", help="default: 600")
    add.add_argument(
        "--runs", type=values.count, default=16, metavar="N", help="at once, those that wait too (default: 16)"
    )
    listing = actions.add_parser("list", help="list the keys, what they may spend and have spent")
    listing.add_argument("--json", action="store_true", help="one JSON array")
    revoke = actions.add_parser("revoke", help="let nobody in with a key any more")
    revoke.add_argument("key", metavar="ID", help="as `longreach keys list` shows it")
    for each in (add, listing, revoke):
        add_database_options(each)
    parser.set_defaults(run=run)


def _help(name: str, unit: str) -> str:
    period = {"day": "a day (UTC)", "run": "a run"}.get(name.rpartition("_per_")[2], "in all")
    return f"{unit} {period}"


def run(given: argparse.Namespace) -> int:
    """Do it. Raises `UsageError`, `StateError`."""
    return {"add": _add, "list": _list, "revoke": _revoke}[given.action](given)


def _add(given: argparse.Namespace) -> int:
    from longreach.serve.state.values import KeyLimits

    limits = KeyLimits(**{name: getattr(given, name) for name in LIMITS})

    async def add(state: State) -> str:
        from longreach.serve.keys import hash_key, make_key

        secret, key = make_key(given.name, limits)
        await state.add_key(key, hash_key(secret))
        return secret

    print(_with_state(given, add))
    return 0


def _list(given: argparse.Namespace) -> int:
    async def keys(state: State) -> list[tuple[Key, tuple[Spending, Spending]]]:
        return [(key, await state.spending(key.id)) for key in await state.keys()]

    found = [_json(key, spent) for key, spent in _with_state(given, keys)]
    if given.json:
        print(json.dumps(found, indent=1))
        return 0
    console = output_console()
    for each in found:
        revoked = "  (revoked)" if each["revoked"] else ""
        console.print(f"{each['id']}  {each['start']}...  {clean(each['name'])}{revoked}", soft_wrap=True)
        limits = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in each["limits"].items())
        console.print(
            f"    today ${each['usd_today']}, in all ${each['usd']}; limits: {limits or 'none'}",
            style="dim",
            soft_wrap=True,
        )
    if not found:
        console.print(
            "There are no keys: the server answers this machine alone. Make one with: longreach keys add NAME"
        )
    return 0


def _json(key: Key, spent: tuple[Spending, Spending]) -> dict[str, Any]:
    today, ever = spent
    return {
        "id": key.id,
        "name": key.name,
        "start": key.start,
        "created": key.created,
        "revoked": key.revoked,
        "limits": key.limits.to_json(),
        "usd_today": f"{today.usd.normalize():f}",
        "tokens_today": today.tokens,
        "usd": f"{ever.usd.normalize():f}",
        "tokens": ever.tokens,
    }


def _revoke(given: argparse.Namespace) -> int:
    if not _with_state(given, lambda state: state.revoke_key(given.key)):
        raise UsageError(f"there is no key '{given.key}' that could be revoked; `longreach keys list` shows their ids")
    print(f"{clean(given.key)} is revoked")
    return 0


def _with_state(given: argparse.Namespace, work: Callable[[State], Awaitable[T]]) -> T:
    import asyncio

    try:
        from longreach.serve.settings import ServeSettings, state_place
        from longreach.serve.state import open_state
    except ImportError as error:
        raise MissingExtra("serve", f"longreach keys ({error.name} is missing)") from None

    async def opened() -> T:
        state = await open_state(state_place(ServeSettings(database=given.database)))
        try:
            return await work(state)
        finally:
            await state.close()

    return asyncio.run(opened())
