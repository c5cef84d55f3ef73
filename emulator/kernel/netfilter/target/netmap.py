"""`-j NETMAP`: maps a whole network onto another one, host by host (xt_NETMAP.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.nat.nat import Range
from emulator.kernel.netfilter.options import U32, format_network, parse_address
from emulator.kernel.netfilter.target.base import Target
from emulator.packet.address import MASKS
from emulator.packet.digits import is_natural

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_DESTINATION_HOOKS = frozenset({Hook.PREROUTING, Hook.OUTPUT})


class Netmap(Target, frozen=True):
    """`-d 192.0.2.0/24 -j NETMAP --to 10.0.0.0/24`: the destination before routing, the source after it."""

    name = "NETMAP"
    options: ClassVar[Mapping[str, int]] = {"--to": 1}
    tables = frozenset({"nat"})
    hooks = frozenset({Hook.PREROUTING, Hook.INPUT, Hook.OUTPUT, Hook.POSTROUTING})
    needs_conntrack = True

    network: int
    mask: int

    @classmethod
    def parse(cls, options: Options) -> Netmap:
        address, slash, length = options.require("--to").value.partition("/")
        mask = _parse_mask(length) if slash else U32
        return cls(parse_address(address) & mask, mask)

    def format(self) -> str:
        return f"--to {format_network(self.network, self.mask)}"

    def listing(self, names: Names) -> str:
        return f"to:{format_network(self.network, self.mask)}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is None:
            return Verdict.ACCEPT
        source = context.hook not in _DESTINATION_HOOKS
        address = (skb.saddr if source else skb.daddr) & ~self.mask & U32 | self.network
        context.netfilter.nat.set_up(skb.ct, Range(addresses=(address, address)), source=source)
        return Verdict.ACCEPT


def _parse_mask(text: str) -> int:
    """Read a length, or a mask that is one; the real tool takes whatever else for 32."""
    if is_natural(text):
        return MASKS[min(int(text), 32)]
    mask = parse_address(text)
    return mask if mask in MASKS else U32
