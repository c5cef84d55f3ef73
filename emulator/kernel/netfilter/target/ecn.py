"""`-j ECN`: takes ECN out of TCP's headers, or sets its bits (ipt_ECN.c, RFC 3168)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.ip.fragment import pull
from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.hook import NF_DROP
from emulator.kernel.netfilter.ip_write import TOS, set_ip_byte, set_tcp_byte
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TCP, _TCP_HEADER, _FLAGS = 6, 20, 13
_CWR, _ECE = 0x80, 0x40


class Ecn(Target, frozen=True):
    """`-p tcp -j ECN --ecn-tcp-remove`; each of the three is None where it is left alone."""

    name = "ECN"
    options: ClassVar[Mapping[str, int]] = {
        "--ecn-tcp-remove": 0,
        "--ecn-tcp-cwr": 1,
        "--ecn-tcp-ece": 1,
        "--ecn-ip-ect": 1,
    }
    tables = frozenset({"mangle"})

    ece: int | None = None
    cwr: int | None = None
    codepoint: int | None = None

    @classmethod
    def parse(cls, options: Options) -> Ecn:
        for flag in ("--ecn-tcp-cwr", "--ecn-tcp-ece"):
            options.only_one("--ecn-tcp-remove", flag)
        values = {
            name: parse_integer(option.value, f"ECN: {name}", 0, most)
            for name, most in (("--ecn-tcp-ece", 1), ("--ecn-tcp-cwr", 1), ("--ecn-ip-ect", 3))
            if (option := options.get(name)) is not None
        }
        if options.has("--ecn-tcp-remove"):
            values |= {"--ecn-tcp-ece": 0, "--ecn-tcp-cwr": 0}
        if not values:
            raise RuleError("ECN target: An operation is required")
        made = cls(values.get("--ecn-tcp-ece"), values.get("--ecn-tcp-cwr"), values.get("--ecn-ip-ect"))
        if made.changes_tcp and not options.has_protocol("tcp"):
            raise KernelError("Invalid argument", "ECN: the flags of TCP need -p tcp")
        return made

    @property
    def changes_tcp(self) -> bool:
        """Whether it sets or clears ECE or CWR."""
        return self.ece is not None or self.cwr is not None

    @property
    def _removes(self) -> bool:
        return self.ece == self.cwr == 0 and self.codepoint is None

    def format(self) -> str:
        if self._removes:
            return "--ecn-tcp-remove"
        given = (("--ecn-tcp-ece", self.ece), ("--ecn-tcp-cwr", self.cwr), ("--ecn-ip-ect", self.codepoint))
        return " ".join(f"{name} {value}" for name, value in given if value is not None)

    def listing(self, names: Names) -> str:
        if self._removes:
            return "ECN TCP remove"
        given = (("ECE", self.ece), ("CWR", self.cwr), ("ECT codepoint", self.codepoint))
        return " ".join(["ECN", *(f"{name}={value}" for name, value in given if value is not None)])

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if self.codepoint is not None:
            set_ip_byte(skb, TOS, skb.data[skb.network + TOS] & ~3 | self.codepoint)
        if not self.changes_tcp or skb.protocol != _TCP:
            return None
        if len(skb.data) < skb.transport + _TCP_HEADER:
            return NF_DROP
        pull(skb, _TCP_HEADER)
        flags = skb.data[skb.transport + _FLAGS]
        for wanted, bit in ((self.ece, _ECE), (self.cwr, _CWR)):
            if wanted is not None:
                flags = flags | bit if wanted else flags & ~bit
        set_tcp_byte(skb, _FLAGS, flags)
        return None
