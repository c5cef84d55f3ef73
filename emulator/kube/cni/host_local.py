"""Addresses of one node's pods, handed out one after the other, as the CNI plugin host-local does.

Source: containernetworking/plugins, plugins/ipam/host-local: the next address after the last one given, so that a
released one rests as long as it can.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from emulator.errors import PodwireError


class AddressesExhaustedError(PodwireError):
    """Every address of the node's pod CIDR is taken."""


class HostLocal:
    """The address pool of a pod CIDR; its first address is the bridge's."""

    def __init__(self, pod_cidr: IPv4Network) -> None:
        self.pod_cidr = pod_cidr
        self.gateway = pod_cidr.network_address + 1
        self._owners: dict[IPv4Address, str] = {}
        self._last = self.gateway

    def allocate(self, owner: str, wanted: IPv4Address | None = None) -> IPv4Address:
        """Return an address for `owner`: `wanted` if it is free and in the range, else the next free one.

        Raises AddressesExhaustedError if none is left.
        """
        if wanted is not None and self._usable(wanted):
            self._owners[wanted] = owner
            return wanted
        size = self.pod_cidr.num_addresses
        start = int(self._last) - int(self.pod_cidr.network_address)
        for step in range(1, size + 1):
            candidate = self.pod_cidr.network_address + (start + step) % size
            if self._usable(candidate):
                self._owners[candidate] = owner
                self._last = candidate
                return candidate
        raise AddressesExhaustedError(f"no address is left in {self.pod_cidr}: delete pods or use a larger pod CIDR")

    def release(self, owner: str) -> None:
        """Give back what `owner` holds."""
        for address in [address for address, holder in self._owners.items() if holder == owner]:
            del self._owners[address]

    def _usable(self, address: IPv4Address) -> bool:
        unusable = (self.pod_cidr.network_address, self.gateway, self.pod_cidr.broadcast_address)
        return address in self.pod_cidr and address not in unusable and address not in self._owners
