"""`fib daddr type`, `fib saddr . iif oif`: what the routing tables say of an address (nft_fib_ipv4.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.nft import datatype as types
from emulator.kernel.netfilter.nft.datatype import Datatype
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Key
from emulator.kernel.netfilter.nft.symbols import FIB_TYPES
from emulator.kernel.routing.fib_rule import LOCAL_OUTPUT, Flow
from emulator.kernel.routing.route import RouteType
from emulator.packet.address import is_broadcast, is_multicast, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

_RESULTS = {"type": types.FIB_TYPE, "oif": types.IFINDEX, "oifname": types.IFNAME}
ASKED = ("saddr", "daddr", "mark", "iif", "oif")


class Fib(Expression, frozen=True):
    """`fib daddr . iif type`. `present`: whether there is a link at all (`oif exists`)."""

    asked: tuple[str, ...]
    result: str
    present: bool = False

    @property
    def types(self) -> tuple[Datatype, ...]:
        return (types.BOOLEAN if self.present else _RESULTS[self.result],)

    def format(self) -> str:
        return f"fib {' . '.join(self.asked)} {self.result}"

    def json(self) -> object:
        return {"fib": {"result": self.result, "flags": list(self.asked)}}

    def bind(self, netfilter: Netfilter) -> Getter:
        return self._type if self.result == "type" else self._link

    def _type(self, skb: Skb, context: Context) -> Key | None:
        link = skb.in_link if "iif" in self.asked else skb.out_link if "oif" in self.asked else None
        address = skb.saddr if "saddr" in self.asked else skb.daddr
        return FIB_TYPES.get(context.netns.fib.address_type(address, link).value, 0)

    def _link(self, skb: Skb, context: Context) -> Key | None:
        found = self._find(skb, context)
        if self.present:
            return int(found is not None)
        if self.result == "oifname":
            return "" if found is None else found.name
        return 0 if found is None else found.index

    def _find(self, skb: Skb, context: Context) -> Link | None:
        """`nft_fib4_eval`."""
        wanted = skb.out_link if "oif" in self.asked else skb.in_link if "iif" in self.asked else None
        if context.hook is Hook.PREROUTING and skb.in_link is not None and skb.in_link.loopback:
            return skb.in_link
        if is_zeronet(skb.saddr) and (is_broadcast(skb.daddr) or skb.daddr >> 8 == 0xE00000):
            return skb.in_link
        mark = skb.mark if "mark" in self.asked else 0
        came_by = LOCAL_OUTPUT
        address, other = skb.daddr, skb.saddr
        if "saddr" in self.asked:
            if context.hook is Hook.FORWARD and "iif" in self.asked and skb.out_link is not None:
                came_by = skb.out_link.name
            address, other = skb.saddr, skb.daddr
        if is_multicast(other) or is_broadcast(other) or is_zeronet(other):
            other = 0
        route = context.netns.fib.find(Flow(address, other, mark, came_by))
        if isinstance(route, DropReason) or route.type is RouteType.LOCAL:
            return None
        if wanted is None:
            return route.hops[0].link if route.hops else None
        return wanted if route.uses(wanted) else None
