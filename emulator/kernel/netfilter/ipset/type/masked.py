"""Sets with `netmask` or `bitmask`: what is not under it is cut off each address."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, TypeVar

from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.error import IpsetError
from emulator.kernel.netfilter.ipset.type.hash_set import HashSet

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets

Key = TypeVar("Key", bound=Hashable)


class MaskedSet(HashSet[Key]):
    """`mask` is for addresses; `step` is how far elements of a range lie apart."""

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        super().__init__(options, sets)
        bits = self.family.bits
        if options.netmask is not None and options.bitmask is not None:
            raise IpsetError("Syntax error: bitmask and netmask are mutually exclusive, provide only one")
        self._netmask = bits if options.netmask is None else options.netmask
        self._bitmask = options.bitmask
        if not 0 < self._netmask <= bits or self._bitmask == 0:
            raise IpsetError("The value of the netmask parameter is invalid")
        self.mask = self.family.masks[self._netmask] if self._bitmask is None else self._bitmask
        self.step = 1 << bits - self._netmask

    def own_header(self) -> list[tuple[str, str]]:
        if self._bitmask is not None and self._bitmask != self.family.masks[-1]:
            return [("bitmask", self.family.format(self._bitmask))]
        return [] if self._netmask == self.family.bits else [("netmask", str(self._netmask))]
