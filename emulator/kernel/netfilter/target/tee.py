"""`-j TEE`: sends a copy of the packet to a gateway on a network of ours (xt_TEE.c, nf_dup_ipv4.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.ip.header import DONT_FRAGMENT
from emulator.kernel.netfilter.error import KernelError
from emulator.kernel.netfilter.hook import NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING
from emulator.kernel.netfilter.ip_write import TTL, set_ip_byte
from emulator.kernel.netfilter.options import parse_host
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.routing.route import RouteResult
from emulator.kernel.skb import IP_CT_UNTRACKED
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_FLAGS, _TOS = 6, 1


class Tee(Target, frozen=True):
    """`-j TEE --gateway 10.0.0.1 --oif eth0`. The copy is this machine's own packet, untracked and not copied again."""

    name = "TEE"
    options: ClassVar[Mapping[str, int]] = {"--gateway": 1, "--oif": 1}

    gateway: int
    link: str = ""

    @classmethod
    def parse(cls, options: Options) -> Tee:
        gateway = parse_host(options.require("--gateway").value)
        link = options.get("--oif")
        if not gateway:
            raise KernelError("Invalid argument", "TEE: 0.0.0.0 is no gateway")
        return cls(gateway, "" if link is None else link.value)

    def format(self) -> str:
        return f"--gateway {format_ipv4(self.gateway)}{f' --oif {self.link}' if self.link else ''}"

    def listing(self, names: Names) -> str:
        return f"TEE gw:{format_ipv4(self.gateway)}{f' oif={self.link}' if self.link else ''}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        netns = context.netns
        if context.netfilter.copying:
            return None
        copy = skb.clone()
        copy.ct, copy.ctinfo = None, IP_CT_UNTRACKED
        copy.socket = copy.in_link = copy.physical_in = copy.physical_out = None
        if copy.fragment_max_size:  # it goes out in pieces again, which have DF only if it came in such ones
            copy.fragment_lengths = ()
        else:
            copy.fragment |= DONT_FRAGMENT
        set_ip_byte(copy, _FLAGS, copy.data[copy.network + _FLAGS] | DONT_FRAGMENT >> 8)
        if context.hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN):
            set_ip_byte(copy, TTL, copy.data[copy.network + TTL] - 1 & 0xFF)
        link = netns.links.get(self.link) if self.link else None
        tos = copy.data[copy.network + _TOS]
        decision = netns.routing.output(self.gateway, link=link, tos=tos)
        if not isinstance(decision, RouteResult):
            return None
        context.netfilter.copying = True
        try:
            netns.ip.local_out(copy, _by_way_of(decision, self.gateway))
        finally:
            context.netfilter.copying = False
        return None


def _by_way_of(decision: RouteResult, gateway: int) -> RouteResult:
    """Return the way to the gateway as one by way of it (FLOWI_FLAG_KNOWN_NH).

    Where only --oif says the way, and no route, Linux sends to the packet's own destination on that link.
    """
    way = RouteResult(
        decision.type,
        decision.link,
        decision.generation,
        gateway=decision.gateway or (gateway if decision.route is not None else 0),
        source=decision.source,
        route=decision.route,
    )
    way.mtu = decision.mtu
    return way
