"""`-m pkttype`: whom the frame was for on its link (xt_pkttype.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.skb import PacketType
from emulator.packet.address import is_multicast

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TYPES = {
    "unicast": PacketType.HOST,
    "host": PacketType.HOST,
    "broadcast": PacketType.BROADCAST,
    "bcast": PacketType.BROADCAST,
    "multicast": PacketType.MULTICAST,
    "mcast": PacketType.MULTICAST,
    "otherhost": PacketType.OTHERHOST,
}


class Pkttype(Match, frozen=True):
    """`-m pkttype --pkt-type broadcast`. Packets of our own count as unicast."""

    name = "pkttype"
    options: ClassVar[Mapping[str, int]] = {"--pkt-type": 1}
    invertible = frozenset(options)

    type: PacketType
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Pkttype:
        option = options.require("--pkt-type")
        found = _TYPES.get(option.value.lower())
        if found is None:
            raise RuleError(f"Bad packet type '{option.value}'")
        return cls(found, option.inverted)

    @property
    def _type_name(self) -> str:
        return next(name for name, kind in _TYPES.items() if kind is self.type)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--pkt-type {self._type_name}"

    def listing(self, names: Names) -> str:
        return f"PKTTYPE {'!=' if self.inverted else '='} {self._type_name}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"packet type {skb.packet_type.name.lower()}"

    def matches(self, skb: Skb, context: Context) -> bool:
        kind = skb.packet_type
        if kind is PacketType.LOOPBACK:
            kind = PacketType.MULTICAST if is_multicast(skb.daddr) else PacketType.BROADCAST
        return (kind is self.type) is not self.inverted
