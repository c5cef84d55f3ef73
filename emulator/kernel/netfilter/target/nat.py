"""`-j DNAT`, `-j SNAT`, `-j MASQUERADE` and `-j REDIRECT`: choose the other side's addresses, once a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.nat.nat import ANY_RANGE, Range
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.netfilter.target.nat_range import (
    format_flags,
    format_ports,
    format_range,
    list_flags,
    parse_ports,
    parse_range,
)
from emulator.kernel.routing.route import Scope

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LOOPBACK = 0x7F000001
_BEFORE_ROUTING = frozenset({Hook.PREROUTING, Hook.OUTPUT})
_AFTER_ROUTING = frozenset({Hook.POSTROUTING, Hook.INPUT})


class Dnat(Target, frozen=True):
    """`-j DNAT --to-destination 10.244.1.2:80`."""

    name = "DNAT"
    options: ClassVar[Mapping[str, int]] = {"--to-destination": 1, "--random": 0, "--persistent": 0}
    tables = frozenset({"nat"})
    hooks = _BEFORE_ROUTING
    needs_conntrack = True

    range: Range

    @classmethod
    def parse(cls, options: Options) -> Dnat:
        return cls(parse_range(options.require("--to-destination").value, options))

    def format(self) -> str:
        return " ".join([f"--to-destination {format_range(self.range)}", *format_flags(self.range)])

    def listing(self, names: Names) -> str:
        return " ".join([f"to:{format_range(self.range)}", *list_flags(self.range)])

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is not None:
            context.netfilter.nat.set_up(skb.ct, self.range, source=False)
        return Verdict.ACCEPT


class Snat(Target, frozen=True):
    """`-j SNAT --to-source 192.0.2.1`."""

    name = "SNAT"
    options: ClassVar[Mapping[str, int]] = {"--to-source": 1, "--random": 0, "--random-fully": 0, "--persistent": 0}
    tables = frozenset({"nat"})
    hooks = _AFTER_ROUTING
    needs_conntrack = True

    range: Range

    @classmethod
    def parse(cls, options: Options) -> Snat:
        span = parse_range(options.require("--to-source").value, options)
        # The kernel's SNAT has no room for a base port and goes by port 0.
        return cls(span if span.base is None else replace(span, base=0))

    def format(self) -> str:
        return " ".join([f"--to-source {format_range(self.range)}", *format_flags(self.range)])

    def listing(self, names: Names) -> str:
        return " ".join([f"to:{format_range(self.range)}", *list_flags(self.range)])

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is not None:
            context.netfilter.nat.set_up(skb.ct, self.range, source=True)
        return Verdict.ACCEPT


class Masquerade(Target, frozen=True):
    """`-j MASQUERADE`: SNAT to the address of the link that the packet leaves by."""

    name = "MASQUERADE"
    options: ClassVar[Mapping[str, int]] = {"--to-ports": 1, "--random": 0, "--random-fully": 0}
    tables = frozenset({"nat"})
    hooks = frozenset({Hook.POSTROUTING})
    needs_conntrack = True
    reason = DropReason.NAT_EXHAUSTED

    range: Range = ANY_RANGE

    @classmethod
    def parse(cls, options: Options) -> Masquerade:
        return cls(_port_range(options))

    def format(self) -> str:
        return _format_port_range(self.range)

    def listing(self, names: Names) -> str:
        words = [] if self.range.ports is None else [f"masq ports: {format_ports(self.range)}"]
        return " ".join(words + list_flags(self.range))

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        connection, link = skb.ct, skb.out_link
        if connection is None or link is None or connection.original.saddr == 0:
            return Verdict.ACCEPT
        gateway = skb.route.gateway if skb.route is not None else 0
        source = context.netns.select_address(link, gateway or skb.daddr, Scope.UNIVERSE)
        if not source:
            return Verdict.DROP
        connection.masquerade_link = link.index
        context.netfilter.nat.set_up(connection, replace(self.range, addresses=(source, source)), source=True)
        return Verdict.ACCEPT


class Redirect(Target, frozen=True):
    """`-j REDIRECT --to-ports 8080`: DNAT to this machine."""

    name = "REDIRECT"
    options: ClassVar[Mapping[str, int]] = {"--to-ports": 1, "--random": 0}
    tables = frozenset({"nat"})
    hooks = _BEFORE_ROUTING
    needs_conntrack = True

    range: Range = ANY_RANGE

    @classmethod
    def parse(cls, options: Options) -> Redirect:
        return cls(_port_range(options))

    def format(self) -> str:
        return _format_port_range(self.range)

    def listing(self, names: Names) -> str:
        words = [] if self.range.ports is None else [f"redir ports {format_ports(self.range)}"]
        return " ".join(words + list_flags(self.range))

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.ct is None:
            return Verdict.ACCEPT
        if context.hook is Hook.OUTPUT:
            address = _LOOPBACK
        elif skb.in_link is not None and skb.in_link.addresses:
            address = skb.in_link.addresses.first.address
        else:
            return Verdict.DROP
        context.netfilter.nat.set_up(skb.ct, replace(self.range, addresses=(address, address)), source=False)
        return Verdict.ACCEPT


def _port_range(options: Options) -> Range:
    option = options.get("--to-ports")
    text = option.value if option else ""
    if "-" in text and not text.partition("/")[0].replace("-", "", 1).isdigit():
        raise RuleError(f"Port `{text}' not valid")
    if "/" in text and "-" not in text:
        raise RuleError(f"Garbage after port value: `/{text.partition('/')[2]}'")
    if "/" in text and options.owner == "REDIRECT":
        raise RuleError("Shifted portmap ranges not supported with this kernel")
    ports = parse_ports(text, options) if option else None
    return Range(
        ports=ports[:2] if ports else None,
        base=None if ports is None or ports[2] is None else 0,  # the kernel has no room for it, and goes by port 0
        random=options.has("--random"),
        fully_random=options.has("--random-fully"),
    )


def _format_port_range(span: Range) -> str:
    words = [f"--to-ports {format_ports(span)}"] if span.ports is not None else []
    return " ".join(words + format_flags(span))
