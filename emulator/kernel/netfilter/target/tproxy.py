"""`-j TPROXY`: gives the packet to a local socket that speaks for others, its addresses unchanged (xt_TPROXY.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_DROP, Hook
from emulator.kernel.netfilter.options import U32, parse_host, parse_long_port, parse_masked
from emulator.kernel.netfilter.target.base import Target
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TCP = 6
_HEADERS = {6: 20, 17: 8}


class Tproxy(Target, frozen=True):
    """`-p tcp -j TPROXY --on-port 15006 --on-ip 127.0.0.1 --tproxy-mark 0x1/0xff`.

    Without `port` or `address` (0) they are the packet's own port, and the first address of the link it came by.
    """

    name = "TPROXY"
    options: ClassVar[Mapping[str, int]] = {"--on-port": 1, "--on-ip": 1, "--tproxy-mark": 1}
    tables = frozenset({"mangle"})
    hooks = frozenset({Hook.PREROUTING})
    prepares = True

    port: int
    address: int = 0
    value: int = 0
    mask: int = 0

    @classmethod
    def parse(cls, options: Options) -> Tproxy:
        port, address = options.require("--on-port"), options.get("--on-ip")
        mark = options.get("--tproxy-mark")
        value, mask = (0, 0) if mark is None else parse_masked(mark.value, "TPROXY: --tproxy-mark")
        made = cls(parse_long_port(port.value), 0 if address is None else parse_host(address.value), value, mask)
        if not options.has_protocol("tcp", "udp"):
            raise KernelError("Invalid argument", "TPROXY needs -p tcp or -p udp")
        return made

    def format(self) -> str:
        return f"--on-port {self.port} --on-ip {format_ipv4(self.address)} --tproxy-mark {self.value:#x}/{self.mask:#x}"

    def listing(self, names: Names) -> str:
        return f"TPROXY redirect {format_ipv4(self.address)}:{self.port} mark {self.value:#x}/{self.mask:#x}"

    def prepare(self, netfilter: Netfilter) -> None:
        """Have fragments put together before the rule sees them (nf_defrag_ipv4_enable)."""
        netfilter.enable_defragmentation()

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        data, start = skb.data, skb.transport
        if len(data) < start + _HEADERS[17] or skb.in_link is None:
            return NF_DROP
        socket = None
        if len(data) >= start + _HEADERS[skb.protocol]:
            address = self.address or next(
                (own.address for own in skb.in_link.addresses if not own.secondary), skb.daddr
            )
            socket = context.netns.sockets.find_redirected(
                skb.protocol, (skb.saddr, skb.sport), (skb.daddr, skb.dport), (address, self.port or skb.dport)
            )
        if socket is None or not socket.transparent:
            return NF_DROP
        skb.mark = (skb.mark & ~self.mask ^ self.value) & U32
        skb.socket = socket
        return NF_ACCEPT
