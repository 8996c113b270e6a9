"""The values that options take, as argparse types.

Covers: counts, bytes, dollars, seconds, shares, ports, and the like; what is said of a value that is none. Does not cover: the options.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TypeVar

__all__ = ["count", "dollars", "natural", "number", "port", "seconds", "share", "size", "speculate", "temperature"]

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BINARY = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_N = TypeVar("_N", int, float)


def count(text: str) -> int:
    """'1500', '200k', '2M'."""
    return int(_scaled(text, r"([\d,_.]+)\s*([kmg]?)", _FACTORS, "a whole number above 0, such as 1500 or 200k"))


def size(text: str) -> int:
    """Bytes: '1500', '64M', '2GiB'."""
    return int(_scaled(text, r"([\d.]+)\s*([kmgt]?)(?:i?b)?", _BINARY, "a size above 0, such as 500M or 2G"))


def dollars(text: str) -> Decimal:
    """'0.50', '$10'."""
    return _scaled(text, r"\$?([\d.]+)()", {"": 1}, "an amount in US dollars above 0, such as 0.50")


def seconds(text: str) -> float:
    """'90', '1.5s'."""
    return float(_scaled(text, r"([\d.]+)()\s*s?", {"": 1}, "a number of seconds above 0"))


def number(text: str) -> int:
    """Any whole number."""
    return _within(text, int, -math.inf, math.inf, "a whole number")


def natural(text: str) -> int:
    """A whole number from 0."""
    return _within(text, int, 0, math.inf, "a whole number from 0")


def port(text: str) -> int:
    """A TCP port; 0 takes any that is free."""
    return _within(text, int, 0, (1 << 16) - 1, "a port from 0 to 65535")


def temperature(text: str) -> float:
    """0 to 2."""
    return _within(text, float, 0, 2, "a number from 0 to 2")


def share(text: str) -> float:
    """Above 0, at most 1."""
    return _within(text, float, math.ulp(0.0), 1, "a number above 0, at most 1")


def speculate(text: str) -> str | int:
    """'off', 'auto' or a number of calls."""
    if text in ("off", "auto"):
        return text
    try:
        return count(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"off, auto or a whole number above 0 is expected, not '{text}'") from None


def _scaled(text: str, pattern: str, factors: dict[str, int], what: str) -> Decimal:
    """The number that the pattern's first group has, times the factor of its second. Whole where `what` says so."""
    found = re.fullmatch(pattern, text.strip().lower(), re.ASCII)
    try:
        value = Decimal(re.sub("[,_]", "", found[1])) * factors[found[2]] if found else Decimal(0)
    except InvalidOperation:
        value = Decimal(0)
    if not value > 0 or (what.startswith(("a whole", "a size")) and value != int(value)):
        raise argparse.ArgumentTypeError(f"{what} is expected, not '{text}'")
    return value


def _within(text: str, kind: Callable[[str], _N], least: float, most: float, what: str) -> _N:
    with suppress(ValueError):
        if least <= (value := kind(text)) <= most:
            return value
    raise argparse.ArgumentTypeError(f"{what} is expected, not '{text}'")
