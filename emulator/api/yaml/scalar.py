"""What a plain YAML scalar means: YAML 1.2's core schema, and the words that other YAML readers take differently.

kubectl reads YAML 1.1, in which `no` is false and `22:22` is 1342. Where both versions agree, the value is taken;
where they do not, the scalar is a `Trap`, and the user is asked to quote it (or to write what is meant).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

Scalar: TypeAlias = str | int | float | bool | None


class Trap(Struct, frozen=True):
    """A scalar that YAML readers take differently; `reason` says how, for the user."""

    reason: str


_CONSTANTS: Mapping[str, bool | None] = MappingProxyType(
    {
        **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
        **dict.fromkeys(("true", "True", "TRUE"), True),
        **dict.fromkeys(("false", "False", "FALSE"), False),
    }
)

BOOLEAN_WORDS: Mapping[str, bool] = MappingProxyType(
    {
        **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
        **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    }
)
"""Booleans in YAML 1.1 only. kubectl takes them so, hence they stand for a boolean where one is wanted."""

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_HEX_OR_OCTAL = re.compile(r"[-+]?0(x[0-9a-fA-F]+|o[0-7]+)\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_BINARY = re.compile(r"[-+]?0b[01_]+\Z")
_UNDERSCORED = re.compile(r"[-+]?(0x[0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?)\Z")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")

_INTEGERS = range(-(2**63), 2**63)
_LONGEST_NUMBER = 64


def resolve(text: str) -> Scalar | Trap:
    """Return the value of a plain (unquoted) scalar.

    `BOOLEAN_WORDS` and octal numbers such as 0644 are left to the caller, since it depends on the field what they
    mean: the former come back as text, the latter as a Trap.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _DECIMAL.match(text):
        return _integer(text, 10)
    if _HEX_OR_OCTAL.match(text):
        return _integer(text, 0)
    if _LEADING_ZERO.match(text):
        return Trap("reads as an octal number in YAML 1.1 and as a decimal one in YAML 1.2")
    if _BINARY.match(text):
        return Trap("reads as a binary number in YAML 1.1 and as text in YAML 1.2")
    if _SEXAGESIMAL.match(text):
        return Trap("reads as a number of base 60 in YAML 1.1 and as text in YAML 1.2")
    if _FLOAT.match(text):
        return _float(text)
    if "_" in text and _UNDERSCORED.match(text):
        return Trap("reads as a number in YAML 1.1 and as text in YAML 1.2")
    if _NOT_FINITE.match(text):
        return Trap("is a number that JSON does not have")
    return text


def octal(text: str) -> int | None:
    """Return the value of a number with leading zeros as kubectl reads it (0644 is 420); None if it is not octal."""
    if not _LEADING_ZERO.match(text) or len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text, 8)
    except ValueError:
        return None


def _integer(text: str, base: int) -> int | Trap:
    if len(text) <= _LONGEST_NUMBER:  # int() itself refuses what is very long
        value = int(text, base)
        if value in _INTEGERS:
            return value
    return Trap("is an integer of more than 64 bits")


def _float(text: str) -> float | Trap:
    value = float(text)
    return Trap("is a number too large") if value in (float("inf"), float("-inf")) else value
