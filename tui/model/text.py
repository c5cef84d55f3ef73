"""Numbers and names as cells: short, one line, and nothing in them that a terminal would act on."""

from __future__ import annotations

from emulator.api.problem import printable

_UNITS = ("", "k", "M", "G", "T")
_PROMPT = 10_000


def count(number: int) -> str:
    """Return a number in five characters at most: 9999, 12.3k, 4.56M."""
    if number < _PROMPT:
        return str(number)
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.3g}{_UNITS[unit]}"


def fit(text: str, width: int, *, keep_end: bool = False) -> str:
    """Return `text` made printable, in `width` characters at most, with … where something is left out."""
    shown = printable(text)
    if len(shown) <= width:
        return shown
    if width <= 1:
        return "…"[:width]
    return f"…{shown[1 - width :]}" if keep_end else f"{shown[: width - 1]}…"


def number(port: int) -> str:
    """Return `:port`, or nothing for a protocol without ports."""
    return f":{port}" if port else ""
