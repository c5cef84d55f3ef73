"""`-m nfacct`: counts in an object of `nfacct` (xt_nfacct.c). There are none here, so the kernel refuses each name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import quote

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Nfacct(Match, frozen=True):
    """`-m nfacct --nfacct-name http`."""

    name = "nfacct"
    options: ClassVar[Mapping[str, int]] = {"--nfacct-name": 1}

    account: str

    @classmethod
    def parse(cls, options: Options) -> Nfacct:
        name = options.require("--nfacct-name").value
        if "\n" in name:
            raise RuleError("Newlines not allowed in --nfacct-name")
        return cls(name)

    def format(self) -> str:
        return f"--nfacct-name {quote(self.account)}"

    def listing(self, names: Names) -> str:
        return f"nfacct-name {quote(self.account)}"

    def check(self, netfilter: Netfilter, table: str, chain: str) -> None:
        raise KernelError("No such file or directory", f"nfacct: there is no object {self.account}")

    def matches(self, skb: Skb, context: Context) -> bool:
        return True
