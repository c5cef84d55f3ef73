"""Numbers and names as ipset's command line takes them (string_to_number_ll of lib/parse.c)."""

from __future__ import annotations

import re

from emulator.kernel.netfilter.ipset.error import IpsetSyntaxError
from emulator.packet.digits import is_natural

MAXIMUM_NAME = 31
_NUMBER = re.compile(r"[ \t]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_U64 = (1 << 64) - 1
_LONGEST = 24  # characters of 2**64 - 1 in octal, and some zeros


def parse_number(text: str, low: int, high: int) -> int:
    """Read a decimal, 0x hexadecimal or 0 octal number, as strtoull does: -1 is the greatest there is."""
    if is_natural(text) and text[0] != "0":  # as nearly all
        number = int(text)
        if low <= number <= high:
            return number
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise IpsetSyntaxError(f"'{text}' is invalid as number")
    digits = match[2]
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    number = int(digits, base) if len(digits) <= _LONGEST else _U64 + 1
    if match[1] == "-" and number <= _U64:
        number = -number & _U64
    if not low <= number <= high:
        raise IpsetSyntaxError(f"'{text}' is out of range {low}-{high}")
    return number


def check_name(name: str) -> str:
    """Refuse a name that is too long for a set."""
    if len(name) > MAXIMUM_NAME:
        raise IpsetSyntaxError(f"setname '{name}' is longer than {MAXIMUM_NAME} characters")
    return name
