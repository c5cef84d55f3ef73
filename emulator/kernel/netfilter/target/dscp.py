"""`-j DSCP`: sets the six bits of the DSCP in the IP header (xt_DSCP.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.dscp_class import DSCP_MAXIMUM, DSCP_SHIFT, parse_dscp_class
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.ip_write import TOS, set_ip_byte
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Dscp(Target, frozen=True):
    """`-j DSCP --set-dscp 0x2e` or `--set-dscp-class EF`."""

    name = "DSCP"
    options: ClassVar[Mapping[str, int]] = {"--set-dscp": 1, "--set-dscp-class": 1}
    tables = frozenset({"mangle"})

    value: int

    @classmethod
    def parse(cls, options: Options) -> Dscp:
        name = options.only_one("--set-dscp", "--set-dscp-class")
        if name is None:
            raise RuleError("DSCP target: Parameter --set-dscp is required")
        text = options.require(name).value
        if name == "--set-dscp-class":
            return cls(parse_dscp_class(text))
        return cls(parse_integer(text, "DSCP: --set-dscp", 0, DSCP_MAXIMUM))

    def format(self) -> str:
        return f"--set-dscp {self.value:#04x}"

    def listing(self, names: Names) -> str:
        return f"DSCP set {self.value:#04x}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        ecn = skb.data[skb.network + TOS] & 3
        set_ip_byte(skb, TOS, self.value << DSCP_SHIFT | ecn)
        return None
