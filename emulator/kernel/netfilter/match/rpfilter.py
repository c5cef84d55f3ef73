"""`-m rpfilter`: whether the way back to the sender is the link that the packet came by (ipt_rpfilter.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.routing.route import RouteType
from emulator.kernel.skb import PacketType
from emulator.packet.address import is_broadcast, is_multicast, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LOCAL_GROUPS = 0xE00000  # 224.0.0.0/24, shifted right by 8
_LISTED = {"--loose": "loose", "--validmark": "validmark", "--accept-local": "accept-local", "--invert": "invert"}

_HOOKS = frozenset({Hook.PREROUTING})


class Rpfilter(Match, frozen=True):
    """`-m rpfilter --validmark --invert`; `flags` are the options that were given, in the order they are printed."""

    name = "rpfilter"
    options: ClassVar[Mapping[str, int]] = dict.fromkeys(_LISTED, 0)
    tables = frozenset({"raw", "mangle"})

    flags: tuple[str, ...] = ()

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Rpfilter:
        return cls(tuple(flag for flag in _LISTED if options.has(flag)))

    def format(self) -> str:
        return " ".join(self.flags)

    def listing(self, names: Names) -> str:
        return " ".join(["rpfilter", *(_LISTED[flag] for flag in self.flags)])

    def matches(self, skb: Skb, context: Context) -> bool:
        return self._comes_back(skb, context) is not ("--invert" in self.flags)

    def _comes_back(self, skb: Skb, context: Context) -> bool:
        link, saddr, daddr = skb.in_link, skb.saddr, skb.daddr
        if link is None or link.loopback or skb.packet_type is PacketType.LOOPBACK:
            return True
        if is_zeronet(saddr) and (is_broadcast(daddr) or daddr >> 8 == _LOCAL_GROUPS):
            return True
        source = 0 if is_multicast(daddr) or is_broadcast(daddr) or is_zeronet(daddr) else daddr
        mark = skb.mark if "--validmark" in self.flags else 0
        route = context.netns.fib.lookup(saddr, source, mark)
        if isinstance(route, DropReason):
            return False
        if route.type is not RouteType.UNICAST and (
            route.type is not RouteType.LOCAL or "--accept-local" not in self.flags
        ):
            return False
        return route.link is link or "--loose" in self.flags
