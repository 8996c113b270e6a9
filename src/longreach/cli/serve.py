"""`longreach serve`: the HTTP API.

Covers: its options, running it until a signal. Does not cover: the server (`longreach.serve`), keys (`cli.keys`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from longreach.cli import values
from longreach.cli.options import add_budget_options, add_fallback_option, add_speculate_option, budget_options
from longreach.errors import MissingExtra

if TYPE_CHECKING:
    from longreach.serve.settings import ServeSettings

__all__ = ["register", "run"]


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the sub-command."""
    parser = commands.add_parser(
        "serve",
        help="answer over HTTP, as an OpenAI-compatible server",
        description="Serve an OpenAI-compatible API. Without API keys (longreach keys add NAME) it answers this machine alone. "
        "The budget is the most that any one run may use.",
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=values.port, default=8000, metavar="N", help="default: 8000; 0 takes any that is free"
    )
    parser.add_argument(
        "--processes",
        type=values.count,
        default=1,
        metavar="N",
        help="that answer, sharing all limits; one for each core under load (default: 1)",
    )
    parser.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"), help="default: info"
    )
    who = parser.add_argument_group("what is offered")
    who.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="M",
        help="a model that clients may name, or a pattern such as 'openai/*' (repeatable; default: "
        "every endpoint whose key is set and the local models that are here)",
    )
    who.add_argument("--default-model", default="", metavar="M", help="for clients that name a strategy alone")
    who.add_argument(
        "--strategy", default="rlm", metavar="S", help="for clients that name a model alone (default: rlm)"
    )
    add_fallback_option(who)
    add_budget_options(parser)
    how = parser.add_argument_group("how runs work")
    how.add_argument("--cache", action="store_true", help="keep the replies to sub-calls for the runs of all clients")
    add_speculate_option(how)
    limits = parser.add_argument_group("limits")
    limits.add_argument("--runs", type=values.count, default=64, metavar="N", help="runs at work at once (default: 64)")
    limits.add_argument(
        "--queue", type=values.count, default=256, metavar="N", help="runs that may wait (default: 256)"
    )
    limits.add_argument(
        "--requests-size", type=values.size, metavar="SIZE", help="of all requests in memory together (default: 1G)"
    )
    limits.add_argument("--upload-size", type=values.size, metavar="SIZE", help="of one uploaded context (default: 2G)")
    limits.add_argument("--uploads-size", type=values.size, metavar="SIZE", help="of all together (default: 20G)")
    limits.add_argument(
        "--keep-free", type=values.size, metavar="SIZE", help="of the disk, whatever comes (default: 1G)"
    )
    limits.add_argument(
        "--drain-seconds",
        type=values.seconds,
        default=60.0,
        metavar="N",
        help="for runs to end at shutdown (default: 60)",
    )
    add_database_options(parser)
    parser.set_defaults(run=run)


def add_database_options(parser: argparse.ArgumentParser) -> None:
    """Where state lies; the same for `serve` and `keys`."""
    state = parser.add_argument_group("state")
    state.add_argument(
        "--database",
        default="",
        metavar="PLACE",
        help="a file, or a postgresql:// URL (default: a file beside the runs)",
    )
    state.add_argument(
        "--instance",
        default="server",
        metavar="NAME",
        help="tells servers apart that share one database (default: server)",
    )


def run(given: argparse.Namespace) -> int:
    """Serve until a signal. Raises `UsageError`, `MissingExtra`."""
    import logging

    logging.basicConfig(level=given.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = _settings(given)
    try:
        serve = _serving(settings)
    except ImportError as error:
        raise MissingExtra("serve", f"longreach serve ({error.name} is missing)") from None
    serve(settings)
    return 0


def _serving(settings: ServeSettings) -> Callable[[ServeSettings], None]:
    """What serves. Raises `ImportError`."""
    if settings.processes > 1:
        from longreach.serve import supervisor

        return supervisor.run
    from longreach.serve import server

    return server.run


def _settings(given: argparse.Namespace) -> ServeSettings:
    from dataclasses import replace

    from longreach.runs import Settings
    from longreach.serve.settings import DiskLimits, ServeSettings, TimeLimits
    from longreach.strategies import find_strategy

    sizes = {"upload": given.upload_size, "contexts": given.uploads_size, "free": given.keep_free}
    defaults = ServeSettings()
    return ServeSettings(
        host=given.host,
        port=given.port,
        models=tuple(given.model),
        default_model=given.default_model,
        fallback=tuple(given.fallback),
        run=Settings(cache=given.cache, speculate="auto" if given.speculate is None else given.speculate),
        strategy=find_strategy(given.strategy).name,
        runs=given.runs,
        queue=given.queue,
        bodies=given.requests_size or defaults.bodies,
        budget=replace(defaults.budget, **budget_options(given)),
        disk=DiskLimits(**{name: value for name, value in sizes.items() if value is not None}),
        time=TimeLimits(drain=given.drain_seconds),
        database=given.database,
        instance=given.instance,
        processes=given.processes,
    )
