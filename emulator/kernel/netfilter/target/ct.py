"""`-j CT` and `-j NOTRACK`: what connection tracking does with a packet, said before it looks (xt_CT.c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.connection import Template
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


@dataclass(frozen=True, slots=True)
class Ct(Target):
    """`-j CT --notrack` or `-j CT --zone 5`."""

    name = "CT"
    options: ClassVar[Mapping[str, int]] = {"--notrack": 0, "--zone": 1}
    tables = frozenset({"raw"})

    notrack: bool = False
    zone: int = 0

    @property
    def needs_conntrack(self) -> bool:  # type: ignore[override]  # a property of the rule, here
        """Whether it puts packets into a zone; `--notrack` alone switches nothing on (xt_ct_tg_check)."""
        return not self.notrack

    @classmethod
    def parse(cls, options: Options) -> Ct:
        zone = options.get("--zone")
        if not options.has("--notrack") and zone is None:
            raise RuleError("CT: --notrack or --zone must be specified")
        return cls(options.has("--notrack"), parse_integer(zone.value, "CT: --zone", 0, 0xFFFF) if zone else 0)

    def tracks(self) -> bool:
        return not self.notrack

    def format(self) -> str:
        if self.notrack:
            return "--notrack"
        return f"--zone {self.zone}"

    def listing(self, names: Names) -> str:
        return "CT notrack" if self.notrack else f"CT zone {self.zone}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is not None:  # came round by the loopback
            return None
        if self.notrack:
            skb.ctinfo = CtInfo.UNTRACKED
            return None
        skb.ct = Template(self.zone, self.zone)
        return None


@dataclass(frozen=True, slots=True)
class Notrack(Target):
    """The same as `-j CT --notrack`."""

    name = "NOTRACK"
    options: ClassVar[Mapping[str, int]] = {}
    tables = frozenset({"raw"})

    @classmethod
    def parse(cls, options: Options) -> Notrack:
        return cls()

    def format(self) -> str:
        return ""

    @classmethod
    def listed_name(cls) -> str:
        return Ct.name

    def listing(self, names: Names) -> str:
        return self.name

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is None:
            skb.ctinfo = CtInfo.UNTRACKED
        return None
