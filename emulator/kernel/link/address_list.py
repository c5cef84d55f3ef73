"""The IPv4 addresses of one link, in order, found by value or by network: kube-ipvs0 has one for each Service.

In Linux these are `in_device.ifa_list`, and a hash over all links (net/ipv4/devinet.c, inet_addr_lst).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.packet.address import MASKS, network_broadcast

if TYPE_CHECKING:
    from emulator.kernel.routing.route import Scope


class Address(Struct, frozen=True):
    """One IPv4 address of a link. `peer` equals `address` except on point-to-point links; `broadcast` is 0 if unset."""

    address: int
    prefix_length: int
    scope: Scope
    peer: int
    broadcast: int = 0
    secondary: bool = False

    @property
    def network(self) -> int:
        """The prefix that the address makes directly reachable."""
        return self.peer & MASKS[self.prefix_length]

    @property
    def directed_broadcast(self) -> int:
        """The last address of that prefix."""
        return network_broadcast(self.network, self.prefix_length)

    def holds(self, address: int) -> bool:
        """Whether an address lies in the prefix."""
        return not (address ^ self.peer) & MASKS[self.prefix_length]


class AddressList:
    """Addresses in the order in which they came. None of these takes longer the more there are."""

    __slots__ = ("_by_address", "_by_network", "_order")

    def __init__(self) -> None:
        self._order: dict[Address, None] = {}
        self._by_address: dict[int, list[Address]] = {}
        self._by_network: dict[tuple[int, int], list[Address]] = {}

    def __iter__(self) -> Iterator[Address]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def first(self) -> Address:
        """The oldest one; there must be one."""
        return next(iter(self._order))

    def at(self, address: int) -> list[Address]:
        """Return those of this very value: the prefix length or the peer may differ."""
        return self._by_address.get(address, [])

    def in_network(self, network: int, prefix_length: int) -> list[Address]:
        """Return those that make this prefix reachable."""
        return self._by_network.get((network, prefix_length), [])

    def add(self, own: Address) -> None:
        """Take one in, as the last."""
        self._order[own] = None
        self._by_address.setdefault(own.address, []).append(own)
        self._by_network.setdefault((own.network, own.prefix_length), []).append(own)

    def remove(self, own: Address) -> None:
        """Take one out; it must be in."""
        del self._order[own]
        self._by_address[own.address].remove(own)
        if not self._by_address[own.address]:
            del self._by_address[own.address]
        key = own.network, own.prefix_length
        self._by_network[key].remove(own)
        if not self._by_network[key]:
            del self._by_network[key]
