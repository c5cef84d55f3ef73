"""The address families of sets. IPv6 sets are kept and printed; rules, which are IPv4's, cannot use them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import MASKS, format_ipv4, format_ipv6, ipv4_to_int
from emulator.packet.digits import is_natural


def _parse_ipv4(text: str) -> int | None:
    """Read an address as inet_aton does for one to four decimal parts: 10.1 is 10.0.0.1."""
    try:
        return ipv4_to_int(text)
    except WireError:
        pass
    parts = text.split(".")
    if len(parts) > 4 or not all(is_natural(part) for part in parts):
        return None
    numbers = [int(part) for part in parts]
    rest = 1 << 8 * (5 - len(numbers))
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= rest:
        return None
    value = numbers[-1]
    for position, number in enumerate(numbers[:-1]):
        value |= number << 24 - 8 * position
    return value


def _parse_ipv6(text: str) -> int | None:
    from ipaddress import AddressValueError, IPv6Address  # seldom needed, and slow to import

    try:
        return int(IPv6Address(text)) if "%" not in text else None
    except AddressValueError:
        return None


def _words_ipv4(address: int) -> tuple[int, ...]:
    return (int.from_bytes(address.to_bytes(4, "big"), "little"),)


def _words_ipv6(address: int) -> tuple[int, ...]:
    return struct.unpack("<4I", address.to_bytes(16, "big"))


class Family(Struct, frozen=True, eq=False):
    """`words` gives an address as the 32-bit words that it has in a little-endian machine's memory."""

    name: str
    title: str
    bits: int
    parse: Callable[[str], int | None]
    format: Callable[[int], str]
    words: Callable[[int], tuple[int, ...]]
    masks: tuple[int, ...]  # by prefix length


INET = Family("inet", "IPv4", 32, _parse_ipv4, format_ipv4, _words_ipv4, MASKS)
INET6 = Family(
    "inet6",
    "IPv6",
    128,
    _parse_ipv6,
    format_ipv6,
    _words_ipv6,
    tuple((1 << 128) - (1 << 128 - length) for length in range(129)),
)
UNSPEC = Family("unspec", "", 0, lambda _: None, lambda _: "", lambda _: (), ())
