"""`-m connlimit`: how many connections an address, or a network of them, has at once (xt_connlimit.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.conntrack.connection import Connection
from emulator.kernel.netfilter.conntrack.tcp_state import TcpState
from emulator.kernel.netfilter.conntrack.tuple import of_packet
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop, Match
from emulator.kernel.netfilter.options import parse_integer, parse_prefix_length
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.tuple import Tuple
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
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
            32 if mask is None else parse_prefix_length(mask, cls.name),
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
            group = known.get((address, key.zone))
            if group is None:
                known[address, key.zone] = [key]
                return (self.limit < 1) is not self.inverted
            _add(netfilter, group, key)
            if not group:  # as where Linux has no memory: it does not tell both apart
                raise Hotdrop(self.name)
            return (len(group) > self.limit) is not self.inverted

        return within


def _add(netfilter: Netfilter, group: list[Tuple], key: Tuple) -> None:
    """Note a connection, unless it is noted or closed (__nf_conncount_add).

    Connections that are no more or closed are forgotten on the way to it, those behind it are not looked at.
    """
    for other in tuple(group):
        found = _live(netfilter, other)
        if found is not None and not _closed(found):
            if other == key:
                return
            continue
        group.remove(other)
    own = _live(netfilter, key)
    if own is None or not _closed(own):
        group.append(key)


def _live(netfilter: Netfilter, key: Tuple) -> Connection | None:
    found = netfilter.conntrack.find(key)
    return None if found is None else found[0]


def _closed(connection: Connection) -> bool:
    return connection.tcp is not None and connection.tcp.state in _CLOSED
