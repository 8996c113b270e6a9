"""Modules kept in memory, so that `import` works where there is no file system.

Covers: reading the standard library's modules and those of preloaded packages before the lock, importing them after it, and the one clear
error for everything else. Does not cover: data files of packages; extension modules, which have to be imported before the lock.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import marshal
import os
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from .mapped import map_file

__all__ = ["PreloadFailed", "Vault", "preload"]

NOT_KEPT = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "tkinter",
    "__pycache__",
}
NOT_IMPORTED = (
    "_test",
    "xx",
    "_xx",
    "_tkinter",
    "_ctypes_test",
    "readline",
    "_curses",
    "nis",
    "ossaudiodev",
    "spwd",
    "_crypt",
    "_gdbm",
    "_dbm",
    "_asyncio",  # asyncio and zoneinfo do without, and are not held by workers that do not use them
    "_zoneinfo",
    "_ssl",  # there is nothing to connect to; what can do without it does
    "_codecs_",  # encodings of files in Chinese, Japanese and Korean: the context is text already
    "_multibytecodec",
    "_lsprof",
    "audioop",
    "syslog",
    "termios",
)
# What code that reads texts mostly wants. The rest takes some milliseconds when it is asked for, and no memory when it is not.
IMPORTED = """
ast base64 bisect collections.abc contextlib copy csv ctypes dataclasses datetime decimal enum functools hashlib heapq inspect io itertools
json math operator pickle platform queue random re reprlib string textwrap threading time traceback types typing unicodedata
warnings weakref zlib
"""
PYC_HEADER = 16
MAPPED_BYTES = 4 << 10  # from here on a file is worth a mapping of its own
ROOT = "/modules/"


class PreloadFailed(Exception):
    """A package that was asked for cannot be imported."""


def _kept_code(path: str) -> tuple[bool, bytes | memoryview]:
    """A module's code: True and its compiled form where Python has cached one that is current, else False and the source."""
    with contextlib.suppress(OSError, NotImplementedError):
        status = os.stat(path)
        with open(importlib.util.cache_from_source(path), "rb", buffering=0) as cached:
            descriptor, size = cached.fileno(), os.fstat(cached.fileno()).st_size
            header = os.pread(descriptor, PYC_HEADER, 0)
            current = header[8:12] == (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
            current &= header[12:16] == (status.st_size & 0xFFFFFFFF).to_bytes(4, "little")
            if current and header[:4] == importlib.util.MAGIC_NUMBER and header[4:8] == bytes(4):
                # a mapping is not looked at here: what is looked at takes memory
                return True, (cached.read() if size < MAPPED_BYTES else map_file(descriptor, size))[PYC_HEADER:]
    with open(path, "rb") as source:
        return False, source.read()


class Vault:
    """The last finder and its loader in one: what was kept, and a clear refusal of the rest.

    Not derived from `importlib.abc`: with that come a dozen modules, which every worker would hold.
    """

    def __init__(self) -> None:
        self._code: dict[str, tuple[bool, bool, bytes | memoryview]] = {}  # name: is it a package, is it compiled, code

    def keep_tree(self, folder: str, prefix: str = "") -> None:
        """Keep every Python module below `folder`, whose own name is `prefix`."""
        for entry in os.scandir(folder):
            stem, extension = os.path.splitext(entry.name)
            if extension == ".py" and stem.replace("-", "_").isidentifier() and stem != "__init__":
                with contextlib.suppress(FileNotFoundError):  # a link to nowhere, as distributions leave some
                    self._code[prefix + stem] = (False, *_kept_code(entry.path))
            elif entry.name.isidentifier() and entry.name not in NOT_KEPT and entry.is_dir():
                start = os.path.join(entry.path, "__init__.py")
                if os.path.isfile(start):
                    self._code[prefix + entry.name] = (True, *_kept_code(start))
                    self.keep_tree(entry.path, f"{prefix}{entry.name}.")

    def keep_file(self, path: str, name: str) -> None:
        """Keep one module."""
        self._code[name] = (False, *_kept_code(path))

    def keep_package(self, folder: str, name: str) -> None:
        """Keep a package and everything below it."""
        self._code[name] = (True, *_kept_code(os.path.join(folder, "__init__.py")))
        self.keep_tree(folder, f"{name}.")

    def install(self) -> None:
        """Make this the only way to import, beside what is built into the interpreter."""
        kept = (importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter)
        sys.meta_path[:] = [*kept, self]
        sys.path.clear()
        sys.path_hooks.clear()
        sys.path_importer_cache.clear()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Importlib: where a module is. Raises ModuleNotFoundError for a name that nobody can import here."""
        kept = self._code.get(fullname)
        if kept is None:
            if path is not None:
                return None
            if fullname in sys.stdlib_module_names:
                why = "this part of the standard library is not in the sandbox"
            else:
                why = (
                    f"the sandbox has the standard library alone; its host can add packages with preload=[{fullname!r}]"
                )
            raise ModuleNotFoundError(f"No module named {fullname!r}: {why}", name=fullname)
        spec = importlib.machinery.ModuleSpec(fullname, self, is_package=kept[0])  # type: ignore[arg-type]
        spec.origin = ROOT + fullname.replace(".", "/") + ("/__init__.py" if kept[0] else ".py")
        spec.has_location = True
        if kept[0]:
            spec.submodule_search_locations = [os.path.dirname(spec.origin)]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Importlib: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Importlib: run a module's code in it."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, fullname: str) -> CodeType:
        """Importlib: the code of a module."""
        _, compiled, data = self._code[fullname]
        if compiled:
            code: CodeType = marshal.loads(data)
            return code
        return compile(data, ROOT + fullname.replace(".", "/") + ".py", "exec", dont_inherit=True)

    def get_source(self, fullname: str) -> str | None:
        """Importlib: sources are not kept."""
        return None

    def is_package(self, fullname: str) -> bool:
        """Importlib: whether it has modules below it."""
        return self._code[fullname][0]


def _extensions(folder: str, prefix: str = "") -> list[str]:
    """Names of the extension modules below a folder."""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    names = []
    for entry in os.scandir(folder):
        if entry.name.endswith(suffixes):
            names.append(prefix + entry.name.partition(".")[0])
        elif prefix and entry.is_dir() and entry.name.isidentifier() and entry.name not in NOT_KEPT:
            names += _extensions(entry.path, f"{prefix}{entry.name}.")
    return names


def _import_quietly(names: list[str]) -> None:
    """Import what can be; a Python built without some part still has the rest."""
    for name in names:
        with contextlib.suppress(ImportError, OSError, AttributeError):
            importlib.import_module(name)


def _preload_package(vault: Vault, name: str) -> None:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise PreloadFailed(f"{name}: {type(error).__name__}: {error}") from error
    file = getattr(module, "__file__", None)
    if file is None:
        raise PreloadFailed(f"{name}: it has no file")
    if hasattr(module, "__path__"):
        vault.keep_package(os.path.dirname(file), name)
        _import_quietly(_extensions(os.path.dirname(file), f"{name}."))
    elif file.endswith(".py"):
        vault.keep_file(file, name)


def preload(packages: Sequence[str] = (), path: Sequence[str] = ()) -> None:
    """Read and import everything that code may import later, then leave only that. Raises `PreloadFailed`.

    packages: beyond the standard library; path: the host's `sys.path`, where those are found.
    """
    vault = Vault()
    library = os.path.dirname(os.__file__)
    vault.keep_tree(library)
    dynamic = os.path.join(library, "lib-dynload")
    if os.path.isdir(dynamic):
        _import_quietly([name for name in _extensions(dynamic) if not name.startswith(NOT_IMPORTED)])
    _import_quietly(IMPORTED.split())
    if packages:
        sys.path += [entry for entry in path if entry and entry not in sys.path]
        for name in packages:
            _preload_package(vault, name)
        _keep_dependencies(vault, library)
    vault.install()


def _keep_dependencies(vault: Vault, library: str) -> None:
    """Keep the packages that the preloaded ones brought along: they import more of themselves when they are used."""
    for name in sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"worker"}):
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if file and file.endswith("__init__.py") and not file.startswith(library + os.sep + "encodings"):
            vault.keep_package(os.path.dirname(file), name)
            _import_quietly(_extensions(os.path.dirname(file), f"{name}."))
