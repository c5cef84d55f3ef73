"""`-m dscp`: the six bits of the DSCP in the IP header (xt_dscp.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.dscp_class import DSCP_MAXIMUM, DSCP_SHIFT, parse_dscp_class
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Dscp(Match, frozen=True):
    """`-m dscp --dscp 0x2e` or `--dscp-class EF`."""

    name = "dscp"
    options: ClassVar[Mapping[str, int]] = {"--dscp": 1, "--dscp-class": 1}
    invertible = frozenset(options)

    value: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Dscp:
        name = options.only_one("--dscp", "--dscp-class")
        if name is None:
            raise RuleError("DSCP match: Parameter --dscp is required")
        option = options.require(name)
        if name == "--dscp-class":
            return cls(parse_dscp_class(option.value), option.inverted)
        return cls(parse_integer(option.value, "dscp: --dscp", 0, DSCP_MAXIMUM), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--dscp {self.value:#04x}"

    def listing(self, names: Names) -> str:
        return f"DSCP match {'!' if self.inverted else ''}{self.value:#04x}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"dscp {skb.data[skb.network + 1] >> DSCP_SHIFT:#04x}"

    def matches(self, skb: Skb, context: Context) -> bool:
        return (skb.data[skb.network + 1] >> DSCP_SHIFT == self.value) is not self.inverted
