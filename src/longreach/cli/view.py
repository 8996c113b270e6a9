"""`longreach view`: a run in the browser.

Covers: finding the runs, serving the page until Ctrl-C, opening the browser. Does not cover: the page (`longreach.viewer`), one file of it
(`cli.export`).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlencode

from longreach.cli import values

__all__ = ["register", "run"]


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the sub-command."""
    parser = commands.add_parser(
        "view",
        help="look at runs in the browser",
        description="Show runs in the browser: the tree of steps and calls with a time line, live while a run goes on. "
        "Two runs are shown side by side, none lists all. The page is served on this machine alone, until Ctrl-C.",
    )
    parser.add_argument(
        "id", nargs="*", metavar="RUN", help="an id, the beginning of one, 'last', or a path; at most two"
    )
    parser.add_argument("--port", type=values.port, default=0, metavar="N", help="default: any that is free")
    parser.add_argument("--no-open", action="store_true", help="print the address, and open no browser")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C. Raises `JournalError`, `UsageError`."""
    import asyncio

    from longreach.errors import UsageError
    from longreach.runs.store import find_run

    if len(given.id) > 2:
        raise UsageError(f"one run, or two side by side, not {len(given.id)}")
    folders = [find_run(each) for each in given.id]
    try:
        asyncio.run(_serve(folders, given.port, opened=not given.no_open))
    except KeyboardInterrupt:
        return 0  # its only end
    return 0


async def _serve(folders: list[Path], port: int, *, opened: bool) -> None:
    import asyncio
    import webbrowser

    from longreach.viewer.library import Library
    from longreach.viewer.server import running

    library = Library(folders)
    first = f"#{urlencode(dict(zip(('run', 'with'), library.named, strict=False)))}" if folders else ""
    async with running(library, first, port) as address:
        print(f"{address}\nCtrl-C ends it", flush=True)
        if opened:
            await asyncio.to_thread(webbrowser.open, address)
        await asyncio.Event().wait()
