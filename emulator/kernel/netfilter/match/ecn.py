"""`-m ecn`: the two ECN bits of the IP header, and CWR and ECE of the TCP header (xt_ecn.c, RFC 3168)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_CWR, _ECE = 0x80, 0x40  # in the TCP header's byte 13
_TCP_HEADER = 20
_FRAGMENT_OFFSET = 0x1FFF


class Ecn(Match, frozen=True):
    """`-p tcp -m ecn --ecn-tcp-ece ! --ecn-ip-ect 2`. Each of the three is None where it is not asked for.

    `ece` and `cwr`: whether the flag must be set. `codepoint`: the two bits, and whether they must not be those.
    """

    name = "ecn"
    options: ClassVar[Mapping[str, int]] = {"--ecn-tcp-cwr": 0, "--ecn-tcp-ece": 0, "--ecn-ip-ect": 1}
    invertible = frozenset(options)

    ece: bool | None = None
    cwr: bool | None = None
    codepoint: tuple[int, bool] | None = None

    @classmethod
    def parse(cls, options: Options) -> Ecn:
        ece, cwr, ect = options.get("--ecn-tcp-ece"), options.get("--ecn-tcp-cwr"), options.get("--ecn-ip-ect")
        if ece is cwr is ect is None:
            raise RuleError("ECN match: some option required")
        codepoint = None
        if ect is not None:
            codepoint = parse_integer(ect.value, "ecn: --ecn-ip-ect", 0, 3), ect.inverted
        if (ece is not None or cwr is not None) and not options.has_protocol("tcp"):
            raise KernelError("Invalid argument", "ecn: the flags of TCP need -p tcp")
        return cls(None if ece is None else not ece.inverted, None if cwr is None else not cwr.inverted, codepoint)

    def format(self) -> str:
        words = []
        for wanted, name in ((self.ece, "--ecn-tcp-ece"), (self.cwr, "--ecn-tcp-cwr")):
            if wanted is not None:
                words.append(name if wanted else f"! {name}")
        if self.codepoint is not None:
            words.append(f"{'! ' if self.codepoint[1] else ''}--ecn-ip-ect {self.codepoint[0]}")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = ["ECN match"]
        words += [f"{'' if wanted else '!'}{name}" for wanted, name in ((self.ece, "ECE"), (self.cwr, "CWR"))
                  if wanted is not None]  # fmt: skip
        if self.codepoint is not None:
            words.append(f"{'!' if self.codepoint[1] else ''}ECT={self.codepoint[0]}")
        return " ".join(words)

    def seen(self, skb: Skb, context: Context) -> str:
        words = [f"ECT {skb.data[skb.network + 1] & 3}"]
        if skb.protocol == 6 and len(skb.data) >= skb.transport + _TCP_HEADER:
            flags = skb.data[skb.transport + 13]
            words += [name for name, bit in (("ECE", _ECE), ("CWR", _CWR)) if flags & bit]
        return ", ".join(words)

    def matches(self, skb: Skb, context: Context) -> bool:
        if self.codepoint is not None:
            value, inverted = self.codepoint
            if (skb.data[skb.network + 1] & 3 == value) is inverted:
                return False
        if self.ece is None and self.cwr is None:
            return True
        if skb.fragment & _FRAGMENT_OFFSET or len(skb.data) < skb.transport + _TCP_HEADER:
            return False
        flags = skb.data[skb.transport + 13]
        return all(
            wanted is None or bool(flags & bit) is wanted for wanted, bit in ((self.ece, _ECE), (self.cwr, _CWR))
        )
