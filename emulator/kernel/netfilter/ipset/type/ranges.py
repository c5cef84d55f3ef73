"""Ranges of addresses and ports as the kernel walks through them (ip_set_range_to_cidr, and each type's `uadt`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.error import BAD_CIDR, BAD_PROTOCOL, WHOLE_RANGE, IpsetError
from emulator.kernel.netfilter.ipset.port import ICMP, ICMPV6, WITH_PORTS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.element import Element
    from emulator.kernel.netfilter.ipset.family import Family


def span(address: int, to: int | None, length: int | None, family: Family, *, shortest: int = 1) -> tuple[int, int]:
    """Return the first and last address of `address`, `address-to` or `address/length`."""
    if to is not None:
        return min(address, to), max(address, to)
    if length is None:
        return address, address
    if length < shortest:
        raise IpsetError(BAD_CIDR)
    mask = family.masks[length]
    return address & mask, address | ~mask & family.masks[family.bits]


def networks(
    address: int, to: int | None, length: int | None, family: Family, *, shortest: int = 1
) -> Iterator[tuple[int, int]]:
    """Yield the networks, as (address, length), that make up a network or a range."""
    if to is None:
        length = family.bits if length is None else length
        if length < shortest:
            raise IpsetError(BAD_CIDR)
        yield address & family.masks[length], length
        return
    first, last = min(address, to), max(address, to)
    if not first and last == family.masks[family.bits]:
        raise IpsetError(WHOLE_RANGE)
    while first <= last:
        length = next(
            (
                length
                for length in range(1, family.bits)
                if first & family.masks[length] == first and first + (1 << family.bits - length) - 1 <= last
            ),
            family.bits,
        )
        yield first, length
        first += 1 << family.bits - length


def port_span(element: Element) -> tuple[int, int]:
    """Return the first and last port; that of a protocol without ports is 0."""
    protocol, port = element.proto, element.port or 0
    if not protocol:
        raise IpsetError(BAD_PROTOCOL)
    if protocol not in WITH_PORTS:
        return (port, port) if protocol in (ICMP, ICMPV6) else (0, 0)
    to = port if element.port_to is None else element.port_to
    return min(port, to), max(port, to)
