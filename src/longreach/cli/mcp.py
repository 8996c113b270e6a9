"""`longreach mcp`: Longreach as tools for MCP clients.

Covers: its options, stdio or HTTP. Does not cover: the tools (`longreach.serve.mcp`).
"""

from __future__ import annotations

import argparse

from longreach.cli import values
from longreach.cli.options import add_ask_options, add_total_budget_options, ask_options, total_budget
from longreach.errors import MissingExtra

__all__ = ["register", "run"]


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the sub-command."""
    parser = commands.add_parser(
        "mcp",
        help="offer ask, runs and show to MCP clients",
        description="Serve the Model Context Protocol on standard input and output, or on HTTP. The budget is the most that "
        "any one run may use. Without --root clients can ask about texts that they send, and about no file.",
    )
    parser.add_argument(
        "--root", action="append", default=[], metavar="FOLDER", help="a folder that may be read (repeatable)"
    )
    parser.add_argument(
        "--allow-model",
        action="append",
        default=[],
        metavar="M",
        help="a model, or a pattern such as 'openai/*', that clients may ask for beside --model (repeatable)",
    )
    parser.add_argument(
        "--http", metavar="PORT", type=values.port, help="serve on http://127.0.0.1:PORT/mcp; 0 takes a free port"
    )
    parser.add_argument("--runs", type=values.count, default=4, metavar="N", help="at once (default: 4)")
    add_total_budget_options(parser, "the total budget, of all runs until the server ends")
    add_ask_options(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until the client leaves, or a signal. Raises `UsageError`, `MissingExtra`."""
    from longreach import event_loop

    try:
        from longreach.serve.mcp import McpSettings, serve_http, serve_stdio
    except ImportError as error:
        raise MissingExtra("serve", f"longreach mcp ({error.name} is missing)") from None
    settings = McpSettings(
        ask_options(given), tuple(given.root), tuple(given.allow_model), total_budget(given), given.runs
    )
    if given.http is None:
        event_loop.run(serve_stdio(settings))
    else:
        event_loop.run(serve_http(settings, "127.0.0.1", given.http))
    return 0
