"""`-j TRACE`: marks the packet, so that each rule it meets from here on is noted (`Netfilter.trace_events`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Trace(Target, frozen=True):
    """`-j TRACE`, in any table: it is nftables' `meta nftrace set 1`. Legacy iptables has it in raw only."""

    name = "TRACE"
    options: ClassVar[Mapping[str, int]] = {}

    @classmethod
    def parse(cls, options: Options) -> Trace:
        return cls()

    def format(self) -> str:
        return ""

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        skb.nf_trace = True
        return None
