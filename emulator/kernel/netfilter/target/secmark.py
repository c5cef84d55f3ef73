"""`-j SECMARK` and `-j CONNSECMARK`: SELinux's labels on packets and connections (xt_SECMARK.c, xt_CONNSECMARK.c).

There is no SELinux here: the kernel maps no context, and saves and restores labels that are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TABLES = frozenset({"mangle", "security"})


class Secmark(Target, frozen=True):
    """`-j SECMARK --selctx system_u:object_r:http_packet_t:s0`."""

    name = "SECMARK"
    options: ClassVar[Mapping[str, int]] = {"--selctx": 1}
    tables = _TABLES

    label: str

    @classmethod
    def parse(cls, options: Options) -> Secmark:
        return cls(options.require("--selctx").value)

    def format(self) -> str:
        return f"--selctx {self.label}"

    def listing(self, names: Names) -> str:
        return f"SECMARK selctx {self.label}"

    def check(self, netfilter: Netfilter, table: str, chain: str) -> None:
        raise KernelError("No such file or directory", f"SECMARK: unable to map security context '{self.label}'")

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None


class Connsecmark(Target, frozen=True):
    """`-j CONNSECMARK --save` or `--restore`."""

    name = "CONNSECMARK"
    options: ClassVar[Mapping[str, int]] = {"--save": 0, "--restore": 0}
    tables = _TABLES
    needs_conntrack = True

    restore: bool

    @classmethod
    def parse(cls, options: Options) -> Connsecmark:
        name = options.only_one("--save", "--restore")
        if name is None:
            raise RuleError("CONNSECMARK target: parameter required")
        return cls(name == "--restore")

    def format(self) -> str:
        return "--restore" if self.restore else "--save"

    def listing(self, names: Names) -> str:
        return f"CONNSECMARK {self.format()[2:]}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None
