"""`-j TOS`: changes bits of the TOS byte in the IP header (xt_DSCP.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.dscp_class import format_tos, list_tos, parse_tos
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


class Tos(Target, frozen=True):
    """`-j TOS --set-tos 0x10/0x3f`: `tos = tos & ~mask ^ value`."""

    name = "TOS"
    options: ClassVar[Mapping[str, int]] = {"--set-tos": 1, "--and-tos": 1, "--or-tos": 1, "--xor-tos": 1}
    tables = frozenset({"mangle"})

    value: int
    mask: int

    @classmethod
    def parse(cls, options: Options) -> Tos:
        name = options.only_one(*cls.options)
        if name is None:
            raise RuleError("TOS: An action is required")
        option = options.require(name)
        if name == "--set-tos":
            return cls(*parse_tos(option, cls.name))
        bits = parse_integer(option.value, f"TOS: {name}", 0, 0xFF)
        if name == "--and-tos":
            return cls(0, ~bits & 0xFF)
        return cls(bits, bits if name == "--or-tos" else 0)

    def format(self) -> str:
        return f"--set-tos {format_tos(self.value, self.mask)}"

    def listing(self, names: Names) -> str:
        shown = list_tos(self.value, self.mask, numeric=names.numeric).lstrip()
        if names.numeric or not shown.startswith("0x"):
            return f"TOS set {shown}" if names.numeric else f" TOS set{shown}"
        if self.value == 0:
            return f"TOS and {~self.mask & 0xFF:#04x}"
        if self.value == self.mask:
            return f"TOS or {self.value:#04x}"
        return f"TOS xor {self.value:#04x}" if self.mask == 0 else f"TOS set {shown}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        set_ip_byte(skb, TOS, skb.data[skb.network + TOS] & ~self.mask & 0xFF ^ self.value)
        return None
