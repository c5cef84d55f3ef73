"""The names of DSCP codepoints and TOS values, for `-m dscp`, `-j DSCP`, `-m tos`, `-j TOS` (RFC 2474, RFC 1349)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.kernel.netfilter.options import Option

DSCP_SHIFT = 2
DSCP_MAXIMUM = 0x3F
SYMBOLIC_MASK = 0x3F

_CLASSES: Mapping[str, int] = MappingProxyType(
    {
        **{f"CS{number}": number << 3 for number in range(8)},
        "BE": 0,
        **{f"AF{group}{drop}": group << 3 | drop << 1 for group in range(1, 5) for drop in range(1, 4)},
        "EF": 0x2E,
    }
)
_SYMBOLS: Mapping[str, int] = MappingProxyType(
    {
        "Minimize-Delay": 0x10,
        "Maximize-Throughput": 0x08,
        "Maximize-Reliability": 0x04,
        "Minimize-Cost": 0x02,
        "Normal-Service": 0x00,
    }
)


def parse_dscp_class(text: str) -> int:
    """Read a class of RFC 2474, 2597 or 3246. As in iptables, what follows its name is passed over: `efx` is EF."""
    for name, value in _CLASSES.items():
        if text.upper().startswith(name):
            return value
    raise RuleError(f"Invalid DSCP value `{text}'")


def parse_tos(option: Option, owner: str) -> tuple[int, int]:
    """Read `value[/mask]`, or a name, to (value, mask): 0xFF is the mask of a bare number, 0x3F that of a name."""
    text = option.value
    value, slash, mask = text.partition("/")
    what = f"{owner}: {option.name}"
    if _number(text) <= 0xFF:
        try:
            return parse_integer(value, what, 0, 0xFF), parse_integer(mask, what, 0, 0xFF) if slash else 0xFF
        except RuleError:
            raise RuleError(f'Illegal value: "{text}"') from None
    for name, number in _SYMBOLS.items():
        if text.lower() == name.lower():
            return number, SYMBOLIC_MASK
    raise RuleError(f'Symbolic name "{text}" is unknown')


def _number(text: str) -> int:
    """Return the number that a text begins with; one that is too large if it begins with none."""
    found = re.match(r"0[xX][0-9a-fA-F]+|[0-9]+", text)
    return int(found[0], 16 if found[0][:2].lower() == "0x" else 10) if found else 0x100


def format_tos(value: int, mask: int) -> str:
    """Print as iptables-save does."""
    return f"{value:#04x}/{mask:#04x}"


def list_tos(value: int, mask: int, *, numeric: bool) -> str:
    """Print as `iptables -L` does: by name if there is one."""
    if not numeric and mask == SYMBOLIC_MASK:
        for name, number in _SYMBOLS.items():
            if number == value:
                return f" {name}"
    return format_tos(value, mask)
