"""`-j CT` and `-j NOTRACK`: what connection tracking does with a packet, said before it looks (xt_CT.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.conntrack.connection import Template
from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


_EVENTS = (
    "new",
    "related",
    "destroy",
    "reply",
    "assured",
    "protoinfo",
    "helper",
    "mark",
    "natseqinfo",
    "secmark",
)
# The kernel's helpers, and the protocols that each is for.
_HELPERS = {
    "amanda": ("udp",),
    "ftp": ("tcp",),
    "irc": ("tcp",),
    "netbios-ns": ("udp",),
    "pptp": ("tcp",),
    "Q.931": ("tcp",),
    "RAS": ("udp",),
    "sane": ("tcp",),
    "sip": ("tcp", "udp"),
    "snmp": ("udp",),
    "tftp": ("udp",),
}
_ZONES = ("--zone", "--zone-orig", "--zone-reply")
_FROM_MARK = "mark"


class Ct(Target, frozen=True):
    """`-j CT --notrack` or `-j CT --zone-orig 5`; `zone` None is the packet's mark.

    Helpers, timeout policies and the choice of events are taken and printed, without effect.
    """

    name = "CT"
    options: ClassVar[Mapping[str, int]] = {
        "--notrack": 0,
        "--helper": 1,
        "--timeout": 1,
        "--ctevents": 1,
        "--expevents": 1,
        **dict.fromkeys(_ZONES, 1),
    }
    tables = frozenset({"raw"})

    notrack: bool = False
    helper: str = ""
    timeout: str = ""
    events: tuple[str, ...] = ()
    expectations: tuple[str, ...] = ()
    zone: int | None = 0
    direction: str = "--zone"

    @property
    def needs_conntrack(self) -> bool:  # type: ignore[override]  # a property of the rule, here
        """Whether it puts packets into a zone; `--notrack` alone switches nothing on (xt_ct_tg_check)."""
        return not self.notrack

    @classmethod
    def parse(cls, options: Options) -> Ct:
        helper, timeout = options.get("--helper"), options.get("--timeout")
        name = helper.value if helper else ""
        notrack = options.has("--notrack")
        if name and not notrack and not options.has_protocol(*_HELPERS.get(name, ())):
            raise KernelError("Invalid argument", f"CT: there is no helper {name} for the rule's protocol")
        given = [each for each in options.by_name if each in _ZONES]
        zones = [_parse_zone(options, each) for each in given]
        # Of several zones the last one counts; both directions together are the plain zone.
        sides = [each for each in given if each != "--zone"]
        return cls(
            notrack,
            name,
            timeout.value if timeout else "",
            _parse_events(options, "--ctevents", _EVENTS),
            _parse_events(options, "--expevents", _EVENTS[:1]),
            zones[-1] if zones else 0,
            sides[0] if len(sides) == 1 else "--zone",
        )

    def tracks(self) -> bool:
        return not self.notrack

    def format(self) -> str:
        return " ".join(f"--{word}" for word in self._words())

    def listing(self, names: Names) -> str:
        return " ".join(["CT", *self._words()])

    def _words(self) -> list[str]:
        words = ["notrack"] if self.notrack else []
        words += [f"helper {self.helper}"] if self.helper else []
        words += [f"timeout {self.timeout}"] if self.timeout else []
        words += [f"ctevents {','.join(self.events)}"] if self.events else []
        words += [f"expevents {','.join(self.expectations)}"] if self.expectations else []
        if self.zone != 0:
            words.append(f"{self.direction[2:]} {_FROM_MARK if self.zone is None else self.zone}")
        return words

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is not None:  # came round by the loopback
            return None
        if self.notrack:
            skb.ctinfo = CtInfo.UNTRACKED
            return None
        zone = 1 if self.zone is None else self.zone
        original = 0 if self.direction == "--zone-reply" else zone
        reply = 0 if self.direction == "--zone-orig" else zone
        skb.ct = Template(original, reply, zone_from_mark=self.zone is None)
        return None


def _parse_zone(options: Options, name: str) -> int | None:
    text = options.require(name).value
    if text == _FROM_MARK:
        return None
    try:
        return parse_integer(text, f"CT: {name}", 0, 0xFFFF)
    except RuleError:
        raise RuleError(f"Cannot parse {text} as a zone ID") from None


def _parse_events(options: Options, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    option = options.get(name)
    given = option.value.split(",") if option else []
    for event in given:
        if event not in known:
            raise RuleError(f'Unknown event type "{event}"')
    return tuple(event for event in known if event in given)


class Notrack(Target, frozen=True):
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
