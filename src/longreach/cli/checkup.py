"""What `longreach doctor` examines.

Covers: isolation (a sandbox is really started), local models, endpoints and whether their keys are set, extras, Python, folders and disk
space. Keys are named, never shown. Nothing is sent to any provider; of servers on this machine only the port is tried. Does not cover:
printing (`cli.doctor`).
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from longreach.cli.untrusted import clean
from longreach.errors import LongreachError
from longreach.locations import cache_folder, data_folder
from longreach.models.endpoints import CUSTOM_KEY, Endpoint, load_endpoints
from longreach.models.weights import WeightsStatus, known_weights, local_status

__all__ = ["EXAMINATIONS", "Finding", "missing"]

LOCAL_EXTRA = "local"
LEAST_FREE_BYTES = 200_000_000  # for journals
PORT_SECONDS = 0.3
REMEDY_ISOLATION = "run on Linux x86-64, or in a Linux container or virtual machine"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    state: 'good'; 'note', missing but not needed; 'bad', something that has to be put right. remedy: what to do about it.
    provides: what `longreach ask` needs and this gives.
    """

    state: Literal["good", "note", "bad"]
    name: str
    detail: str = ""
    remedy: str = ""
    provides: Literal["", "isolation", "model"] = ""


NEEDS = {
    "isolation": "no sandbox starts (only `--strategy direct`, which runs no code, can be used)",
    "model": "there is no model: set the key of an endpoint, or fetch local weights "
    "(pip install 'longreach[local]'; longreach models pull)",
}


def missing(findings: list[Finding]) -> list[str]:
    """What answering a question needs and is not here, a sentence each: isolation of code, and a model."""
    provided = {each.provides for each in findings if each.state == "good"}
    return [sentence for need, sentence in NEEDS.items() if need not in provided]


# --- isolation


def _isolation() -> list[Finding]:
    from longreach.sandbox.factory import SandboxOptions

    backend = SandboxOptions().backend
    try:
        layers = asyncio.run(_started_layers())
    except LongreachError as error:
        return [
            Finding(
                "bad",
                f"sandbox '{backend}'",
                clean(str(error)),
                REMEDY_ISOLATION,
            ),
            *_other_backends(),
        ]
    found = [Finding("good", f"sandbox '{backend}'", "starts, and ran a line of code", provides="isolation")]
    for name, active, detail in layers:
        found.append(
            Finding(
                "good" if active else "note", f"  {clean(name)}", clean(detail) if active else f"off: {clean(detail)}"
            )
        )
    return found + _other_backends()


def _other_backends() -> list[Finding]:
    """What else `--sandbox` may name, by whether the program that it needs is here. None of them is started."""
    from longreach.sandbox.factory import available_backends

    return [
        Finding("good" if each.here else "note", f"--sandbox {each.backend}", clean(each.detail))
        for each in available_backends()
    ]


class _Echo:
    """A sub-call that answers itself, and lets the sandbox look ahead as in a run."""

    async def __call__(self, arguments: Mapping[str, Any], /) -> Any:
        return arguments["prompt"]

    def room(self) -> int:
        return 1

    def ahead(self, arguments: Mapping[str, Any]) -> None:
        """Nothing is sent."""

    def ready(self, arguments: Mapping[str, Any]) -> None:
        """Nothing is known before it is asked."""


async def _started_layers() -> list[tuple[str, bool, str]]:
    """The layers of a sandbox that was really started and used. Raises `SandboxError`."""
    from longreach.context import Context
    from longreach.errors import WorkerDied
    from longreach.sandbox import Limits
    from longreach.sandbox.factory import open_sandbox

    sandbox = open_sandbox()
    try:
        await sandbox.start(Context.from_text("examination"), {"llm_query": _Echo()}, Limits())
        observation = await sandbox.run("print(len(llm_query(context)))", 10.0)
        if observation.status != "ok" or observation.output.strip() != "11":
            raise WorkerDied(f"the sandbox started, but a line of code in it ended with '{observation.status}'")
        return [(each.name, each.active, each.detail) for each in sandbox.report.layers]
    finally:
        await sandbox.close()


# --- models


def _local_models() -> list[Finding]:
    missing = _missing_packages(LOCAL_EXTRA)
    found = [_local_model(local_status(each.name), bool(missing)) for each in known_weights()]
    if missing:
        found.insert(0, Finding("note", "llama.cpp", f"not installed ({', '.join(missing)})", _install(LOCAL_EXTRA)))
    return found


def _local_model(status: WeightsStatus, without_engine: bool) -> Finding:
    name, size = f"local/{status.weights.name}", f"{status.weights.bytes / 1e6:,.0f} MB"
    if status.here:
        if without_engine:
            return Finding("note", name, f"weights are here ({size}), llama.cpp is not", _install(LOCAL_EXTRA))
        return Finding("good", name, f"weights are here ({size})", provides="model")
    what = {"damaged": "weights are damaged", "partial": "weights are here in part"}.get(
        status.state, "weights are not here"
    )
    return Finding(
        "bad" if status.state == "damaged" else "note",
        name,
        what,
        f"longreach models pull {status.weights.name} ({size})",
    )


def _endpoints() -> list[Finding]:
    found = [_endpoint(each) for each in load_endpoints().values()]
    if os.environ.get(CUSTOM_KEY):
        found.append(Finding("good", "--base-url", f"{CUSTOM_KEY} is set"))
    return found


def _endpoint(endpoint: Endpoint) -> Finding:
    """Whether an endpoint's models can be used: its server on this machine listens, or its key is set."""
    name = clean(f"{endpoint.name}/…")
    if _is_here(endpoint):
        address = urlsplit(endpoint.base_url).netloc
        if _listens(endpoint):
            return Finding("good", name, clean(f"something listens on {address}"), provides="model")
        return Finding("note", name, clean(f"nothing listens on {address}"))
    if set_keys := [key for key in endpoint.keys if os.environ.get(key, "").strip()]:
        return Finding("good", name, clean(f"{set_keys[0]} is set"), provides="model")
    if not endpoint.keys or endpoint.key_optional:
        return Finding("good", name, "works without a key", provides="model")
    return Finding("note", name, clean(f"{' or '.join(endpoint.keys)} is not set"))


def _is_here(endpoint: Endpoint) -> bool:
    return urlsplit(endpoint.base_url).hostname in LOOPBACK


def _listens(endpoint: Endpoint) -> bool:
    parts = urlsplit(endpoint.base_url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((str(parts.hostname), port), PORT_SECONDS).close()
    except OSError:
        return False
    return True


# --- extras, Python, folders


def _extras() -> list[Finding]:
    purposes = {"local": "models on this machine", "docs": "PDF, Word, PowerPoint, Excel, EPUB; detected encodings"}
    found = []
    for extra in _extra_names():
        missing = _missing_packages(extra)
        state: Literal["good", "note"] = "note" if missing else "good"
        detail = f"without: {', '.join(missing)}" if missing else "installed"
        purpose = f" ({purposes[extra]})" if extra in purposes else ""
        found.append(Finding(state, extra, detail + purpose, _install(extra) if missing else ""))
    return found


def _extra_names() -> list[str]:
    """The extras, less the one that is all others together."""
    return [each for each in metadata.metadata("longreach").get_all("Provides-Extra") or [] if each != "all"]


def _packages(extra: str) -> Iterator[str]:
    for requirement in metadata.requires("longreach") or []:
        name = re.match(r"[\w.-]+", requirement)
        if name and name[0] != "longreach" and re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", requirement):
            yield name[0]


def _missing_packages(extra: str) -> list[str]:
    return [each for each in _packages(extra) if not _installed(each)]


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _install(extra: str) -> str:
    return f"pip install 'longreach[{extra}]'"


def _machine() -> list[Finding]:
    python = f"{platform.python_version()} ({sys.executable})"
    found = [
        Finding("good", "Python", clean(python)),
        Finding("good", "system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
    ]
    needed = (
        max(2 * known_weights()[0].bytes, LEAST_FREE_BYTES) if not local_status("default").here else LEAST_FREE_BYTES
    )
    return [
        *found,
        _folder("runs", data_folder() / "runs", LEAST_FREE_BYTES),
        _folder("weights", cache_folder() / "weights", needed),
    ]


def _folder(name: str, folder: Path, needed_bytes: int) -> Finding:
    """A folder of ours, and the disk it lies on; it may not have been made yet."""
    variable = "LONGREACH_HOME" if name == "runs" else "LONGREACH_CACHE"
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(existing, os.W_OK):
        return Finding("bad", name, clean(f"{folder} cannot be written"), f"set {variable} to a folder that can")
    free = shutil.disk_usage(existing).free
    detail = clean(f"{folder}, {free / 1e9:,.1f} GB free")
    if free < needed_bytes:
        return Finding(
            "bad", name, detail, f"free {needed_bytes / 1e9:,.1f} GB, or set {variable} to a folder on another disk"
        )
    return Finding("good", name, detail)


EXAMINATIONS: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
    ("Isolation of model-written code", _isolation),
    ("Models on this machine", _local_models),
    ("Endpoints", _endpoints),
    ("Extras", _extras),
    ("Machine", _machine),
)
