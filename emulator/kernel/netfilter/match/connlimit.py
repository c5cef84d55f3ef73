"""`-m connlimit`: how many connections an address, or a network of them, has at once (xt_connlimit.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.conntrack.connection import Connection
from emulator.kernel.netfilter.conntrack.tcp_state import TcpState
from emulator.kernel.netfilter.conntrack.tuple import of_packet
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop, Match
from emulator.kernel.netfilter.options import parse_host, parse_integer
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.tuple import Tuple
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Option, Options
    from emulator.kernel.skb import Skb

_CLOSED = frozenset({TcpState.TIME_WAIT, TcpState.CLOSE})


class Connlimit(Match, frozen=True):
    """`-m connlimit --connlimit-above 20 --connlimit-mask 24 --connlimit-saddr`.

    `inverted`: matches up to the limit. `length` is the prefix by which addresses are one.
    """

    name = "connlimit"
    options: ClassVar[Mapping[str, int]] = {
        "--connlimit-upto": 1,
        "--connlimit-above": 1,
        "--connlimit-mask": 1,
        "--connlimit-saddr": 0,
        "--connlimit-daddr": 0,
    }
    invertible = frozenset({"--connlimit-upto", "--connlimit-above"})
    needs_conntrack = True
    has_memory = True

    limit: int
    inverted: bool
    length: int = 32
    destination: bool = False

    @classmethod
    def parse(cls, options: Options) -> Connlimit:
        name = options.only_one("--connlimit-upto", "--connlimit-above")
        options.only_one("--connlimit-saddr", "--connlimit-daddr")
        if name is None:
            raise RuleError('You must specify "--connlimit-above" or "--connlimit-upto".')
        option = options.require(name)
        mask = options.get("--connlimit-mask")
        return cls(
            parse_integer(option.value, f"connlimit: {name}"),
            (name == "--connlimit-upto") is not option.inverted,
            32 if mask is None else _parse_length(mask),
            options.has("--connlimit-daddr"),
        )

    def format(self) -> str:
        return (
            f"--connlimit-{'upto' if self.inverted else 'above'} {self.limit} --connlimit-mask {self.length} "
            f"--connlimit-{'daddr' if self.destination else 'saddr'}"
        )

    def listing(self, names: Names) -> str:
        side = "dst" if self.destination else "src"
        return f"#conn {side}/{self.length} {'<=' if self.inverted else '>'} {self.limit}"

    def matches(self, skb: Skb, context: Context) -> bool:
        """Never asked: the counts are in what `bind` returns."""
        return True

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        known: dict[tuple[int, int], list[Tuple]] = {}

        def within(skb: Skb, context: Context) -> bool:
            ct = skb.ct
            if isinstance(ct, Connection):
                key: Tuple | None = ct.original
            else:
                key = of_packet(skb.data, skb.protocol, skb.transport, skb.saddr, skb.daddr)
            if key is None:
                raise Hotdrop(self.name)
            address = (skb.daddr if self.destination else skb.saddr) & MASKS[self.length]
            group = known.setdefault((address, key.zone), [])
            count = _count(netfilter, group, key)
            return (count > self.limit) is not self.inverted

        return within


def _count(netfilter: Netfilter, group: list[Tuple], key: Tuple) -> int:
    """Forget the connections that are no more, note this one, and return how many there are (nf_conncount_add)."""
    kept = []
    for other in group:
        found = netfilter.conntrack.find(other)
        if found is not None and (other == key or not _closed(found[0])):
            kept.append(other)
    group[:] = kept
    if key not in kept:
        group.append(key)
    return len(group)


def _closed(connection: Connection) -> bool:
    return connection.tcp is not None and connection.tcp.state in _CLOSED


def _parse_length(option: Option) -> int:
    """Read a prefix length or a mask. As in iptables, an address that is no mask, even a bare number, is 32."""
    try:
        return parse_integer(option.value, "connlimit: --connlimit-mask", 0, 32)
    except RuleError:
        pass
    try:
        mask = parse_host(option.value)
    except RuleError:
        why = "neither a valid network mask nor valid CIDR (0-32)."
        raise RuleError(f'connlimit: bad value for option "--connlimit-mask", {why}') from None
    return MASKS.index(mask) if mask in MASKS else 32
