"""`-m multiport`: up to 15 ports or ranges (xt_multiport.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop, Match
from emulator.kernel.netfilter.match.port import FRAGMENT_OFFSET
from emulator.kernel.netfilter.options import format_port_range, format_protocol, parse_port_range

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_CANONICAL = {"--source-ports": "--sports", "--destination-ports": "--dports"}
_LONG = {short: long for long, short in _CANONICAL.items()}
_MAXIMUM = 15  # a range counts as two


class Multiport(Match, frozen=True):
    """`-p tcp -m multiport --dports 80,443,1000:2000`; `side` is --sports, --dports or --ports (either)."""

    name = "multiport"
    options: ClassVar[Mapping[str, int]] = {
        "--sports": 1,
        "--source-ports": 1,
        "--dports": 1,
        "--destination-ports": 1,
        "--ports": 1,
    }
    invertible = frozenset(options)

    side: str
    ranges: tuple[tuple[int, int], ...]
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Multiport:
        given = [name for name in cls.options if options.has(name)]
        if len(given) > 1:
            first, second = (_LONG.get(name, name) for name in given[:2])
            raise RuleError(f'multiport: option "{first}" cannot be used together with "{second}".')
        name = given[0] if given else None
        if name is None:
            raise RuleError("multiport expection an option")
        if not options.protocol:
            raise RuleError("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'")
        if not options.has_protocol("tcp", "udp", "sctp", "dccp", "udplite"):
            raise RuleError("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP")
        option = options.require(name)
        ranges = tuple(
            parse_port_range(text, protocol=format_protocol(options.protocol)) for text in option.value.split(",")
        )
        if sum(1 if low == high else 2 for low, high in ranges) > _MAXIMUM:
            raise RuleError("too many ports specified")
        return cls(_CANONICAL.get(name, name), ranges, option.inverted)

    def format(self) -> str:
        return (
            f"{'! ' if self.inverted else ''}{self.side} {','.join(format_port_range(*pair) for pair in self.ranges)}"
        )

    def listing(self, names: Names) -> str:
        ports = ",".join(names.port_range(*pair) for pair in self.ranges)
        return f"multiport {self.side[2:]} {' !' if self.inverted else ''}{ports}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"ports {skb.sport} and {skb.dport}"

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.fragment & FRAGMENT_OFFSET:
            return False
        data, at = skb.data, skb.transport
        if len(data) < at + 4:
            raise Hotdrop(self.name)
        # From the bytes, since an Skb notes no ports of DCCP and UDP-Lite.
        found = (self.side != "--dports" and self._hold(data[at] << 8 | data[at + 1])) or (
            self.side != "--sports" and self._hold(data[at + 2] << 8 | data[at + 3])
        )
        return found is not self.inverted

    def _hold(self, port: int) -> bool:
        return any(low <= port <= high for low, high in self.ranges)
