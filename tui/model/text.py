"""Numbers and names as cells: short, one line, and nothing in them that a terminal would act on."""

from __future__ import annotations

import re

from emulator.api.problem import printable

_UNITS = ("", "k", "M", "G", "T")
_PROMPT = 10_000
_TEMPLATE_HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})(?=:|$)")
_PORT = re.compile(r":\d+$")


def count(number: int) -> str:
    """Return a number in five characters at most: 9999, 12.3k, 4.56M."""
    if number < _PROMPT:
        return str(number)
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.3g}{_UNITS[unit]}"


def rate(value: float) -> str:
    """Return a number per second in five characters at most: 0, 0.42, 17, 12.3k."""
    return f"{value:.2g}" if 0.01 <= value < 9.95 else count(round(value))


def fit(text: str, width: int) -> str:
    """Return `text` made printable, in `width` characters at most, with … where something is left out."""
    shown = printable(text)
    if len(shown) <= width:
        return shown
    if width <= 1:
        return "…"[:width]
    return f"{shown[: width - 1]}…"


def fit_name(text: str, width: int) -> str:
    """Return a name, with its port, in `width` characters: what tells least goes first, then the middle.

    `default/`, then the pod-template-hash of a Deployment's pod (Kubernetes' SafeEncodeString alphabet, ten
    characters at most, before a random suffix of five), then the middle; the port stays whole.
    """
    shown = printable(text)
    if len(shown) > width:
        shown = shown.removeprefix("default/")
    if len(shown) > width:
        shown = _TEMPLATE_HASH.sub(r"\1", shown)
    if len(shown) <= width:
        return shown
    if width <= 2:
        return fit(shown, width)
    port = _PORT.search(shown)
    tail = max(width // 2, len(port[0]) if port else 0)
    tail = min(tail, width - 2)
    return f"{shown[: width - 1 - tail]}…{shown[-tail:]}"


def number(port: int) -> str:
    """Return `:port`, or nothing for a protocol without ports."""
    return f":{port}" if port else ""
