"""The command line of ping: its options, their bounds, and its words for what is out of them."""

from __future__ import annotations

from msgspec import Struct

from emulator.apps.commands.iputils import ArgumentError, integer
from emulator.apps.options import Options
from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int

SHORT = "4abc:DfhI:i:M:nOp:qs:t:vVw:W:"
_MAXIMUM_SIZE = 65_507
_LINGER = 10.0  # seconds to wait for the last reply when none has come


class Settings(Struct, frozen=True):
    """What a command line of ping asks for. Times are seconds."""

    target: str
    count: int  # 0: no end
    interval: float
    size: int
    ttl: int
    deadline: float  # 0: none
    linger: float
    dont_fragment: bool
    numeric: bool
    quiet: bool
    outstanding: bool
    stamps: bool
    flood: bool
    broadcast: bool
    interface: str
    pattern: bytes


def read(options: Options) -> Settings:
    """Read what the options ask for. ArgumentError."""
    if not options.operands:
        raise ArgumentError("usage error: Destination address required")
    if options.get("M", "dont") not in {"do", "dont", "want"}:
        raise ArgumentError(f"invalid -M argument: {options.get('M')}")
    target = options.operands[-1]
    return Settings(
        target,
        count=integer(options.get("c"), 0, 1, 2**63 - 1),
        interval=_seconds(options.get("i"), 0.01 if "f" in options else 1.0),
        size=integer(options.get("s"), 56, 0, _MAXIMUM_SIZE),
        ttl=integer(options.get("t"), 64, 1, 255),
        deadline=_seconds(options.get("w"), 0.0),
        linger=_seconds(options.get("W"), _LINGER),
        dont_fragment=options.get("M") == "do",
        numeric="n" in options or is_address(target),
        quiet="q" in options,
        outstanding="O" in options,
        stamps="D" in options,
        flood="f" in options,
        broadcast="b" in options,
        interface=options.get("I"),
        pattern=_pattern(options.get("p")),
    )


def _seconds(text: str, default: float) -> float:
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise ArgumentError(f"invalid argument: '{text}'") from None
    if not 0 <= value <= 2_147_483:
        raise ArgumentError(f"bad timing interval: {text}")
    return value


def _pattern(text: str) -> bytes:
    """Read up to 16 bytes of padding in hexadecimal digits, two a byte."""
    if any(letter not in "0123456789abcdefABCDEF" for letter in text):
        raise ArgumentError(f"patterns must be specified as hex digits: {text}")
    return bytes(int(text[start : start + 2], 16) for start in range(0, min(len(text), 32), 2))


def is_address(text: str) -> bool:
    """Whether it is an IPv4 address."""
    try:
        ipv4_to_int(text)
    except WireError:
        return False
    return True
