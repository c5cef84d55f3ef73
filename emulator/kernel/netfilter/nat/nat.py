"""NAT: chooses, with a connection's first packet, what its answers must look like, and rewrites every packet to that.

nf_nat_core.c. The nat table is asked once a connection and a direction of rewriting; "no rule matched" is remembered
too, as a null binding, which may still have to move the source port out of another connection's way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.jhash import choose_in_range
from emulator.kernel.netfilter.conntrack import tuple as tuples
from emulator.kernel.netfilter.conntrack.connection import (
    CONFIRMED,
    DST_NAT,
    DST_NAT_DONE,
    FIXED_TIMEOUT,
    NAT_MASK,
    REPLY,
    SRC_NAT,
    SRC_NAT_DONE,
    Connection,
)
from emulator.kernel.netfilter.conntrack.tcp_state import END, TcpState
from emulator.kernel.netfilter.conntrack.tuple import CLASH_ALLOWED, GRE, ICMP, PORT_PROTOCOLS, TCP, Tuple
from emulator.kernel.netfilter.hook import (
    NF_ACCEPT,
    NF_DROP,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    Hook,
    Priority,
    Verdict,
)
from emulator.kernel.netfilter.nat.packet import is_translatable_gre, rewrite, rewrite_error
from emulator.kernel.netfilter.reroute import reroute
from emulator.kernel.skb import IP_CT_RELATED_REPLY, CtInfo

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netfilter.netfilter import HookFunction, Netfilter
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

_SOURCE_HOOKS = frozenset({Hook.POSTROUTING, Hook.INPUT})
_REPLY_INFO = frozenset({CtInfo.ESTABLISHED_REPLY, CtInfo.RELATED_REPLY})
_RELATED_INFO = frozenset({CtInfo.RELATED, CtInfo.RELATED_REPLY})
_FIRST_INFO = _RELATED_INFO | {CtInfo.NEW}  # a reset that answers a first packet is RELATED, and is bound like it
_MAXIMUM_ATTEMPTS = 128
_FEWEST_ATTEMPTS = 16
_EVICTION_ATTEMPTS = 32  # for the last so many tries a closing connection may be evicted
_ALL_PORTS = 65_536
_NAT = "nat"  # the name of the hooks


class Range(Struct, frozen=True):
    """What to map to (`struct nf_nat_range2`): addresses and ports from the first to the second, or as they were.

    `base`: the port that maps to the first of `ports`, the next to the next.
    """

    addresses: tuple[int, int] | None = None
    ports: tuple[int, int] | None = None
    base: int | None = None
    random: bool = False
    fully_random: bool = False
    persistent: bool = False

    @property
    def draws(self) -> bool:
        """Whether the port is drawn even if it could stay."""
        return self.random or self.fully_random

    def holds(self, key: Tuple, port: int) -> bool:
        """Whether a source address and port are in it already."""
        if self.addresses is not None and not self.addresses[0] <= key.saddr <= self.addresses[1]:
            return False
        return self.ports is None or self.holds_port(key.protocol, port)

    def holds_port(self, protocol: int, port: int) -> bool:
        """Whether a port is in it; protocols without ports always are."""
        if self.ports is None or (protocol != ICMP and protocol not in PORT_PROTOCOLS):
            return True
        return self.ports[0] <= port <= self.ports[1]


ANY_RANGE = Range()


class Nat:
    """The NAT of one namespace."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._netfilter = netfilter
        self._conntrack = netfilter.conntrack
        self._random = netfilter.netns.kernel.random
        # (field, first port, original tuple) -> where to begin; a comparison with Linux puts the kernel's draw here
        self.draw_offset: Callable[[str, int, Tuple], int] = lambda field, first, original: self._random.getrandbits(16)
        # Connections whose source was rewritten, by what it was, so that a client keeps its mapping where it can.
        self._newest_by_source: dict[int, Connection] = {}
        netfilter.netns.on_address_removed.append(self.forget_address)
        # Who is asked about a new connection at each hook, by priority: the nat table of iptables, nat chains of nft.
        self._asked: list[list[tuple[int, HookFunction]]] = [[] for _ in Hook]
        self._enabled = False

    # Hooks

    def attach(self, hook: Hook, priority: int, function: HookFunction) -> None:
        """Let a table's or a chain's rules be asked about new connections (`nf_nat_register_fn`)."""
        if not self._enabled:
            self._enabled = True
            for each in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING):
                place = Priority.NAT_SRC if each in _SOURCE_HOOKS else Priority.NAT_DST
                handle = self.handle_local if each is NF_INET_LOCAL_OUT else self.handle
                self._netfilter.register(each, place, _NAT, handle)
        asked = self._asked[hook]
        asked.insert(
            next((i for i, entry in enumerate(asked) if entry[0] >= priority), len(asked)), (priority, function)
        )

    def detach(self, hook: Hook, function: HookFunction) -> None:
        """Ask them no more. With the last of them NAT goes (`nf_nat_unregister_fn`)."""
        self._asked[hook] = [entry for entry in self._asked[hook] if entry[1] != function]
        if self._enabled and not any(self._asked):
            self._enabled = False
            self._netfilter.unregister(frozenset({_NAT}))

    def handle(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Bind a new connection, then rewrite the packet (`nf_nat_inet_fn`)."""
        connection = skb.ct
        if connection is None:
            return NF_ACCEPT
        source = hook in _SOURCE_HOOKS
        info = skb.ctinfo
        if info in _RELATED_INFO and skb.protocol == ICMP:
            return rewrite_error(netns, skb, connection, info is IP_CT_RELATED_REPLY, source=source)
        if info in _FIRST_INFO and not connection.status & (SRC_NAT_DONE if source else DST_NAT_DONE):
            verdict = self._bind(hook, skb, connection, source)
            if verdict is not NF_ACCEPT:
                return verdict
        elif hook is NF_INET_POST_ROUTING and self._link_changed(skb, connection, info):
            self._conntrack.delete(connection)
            netns.drop(skb, DropReason.NETFILTER_DROP, table="nat", rule="MASQUERADE chose another link's address")
            return NF_DROP
        if connection.status & NAT_MASK:
            return self._rewrite(netns, skb, connection, info in _REPLY_INFO, source)
        return NF_ACCEPT

    def handle_local(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Do so in OUTPUT, and find the way to another destination at once (`nf_nat_ipv4_local_fn`)."""
        before = skb.daddr
        verdict = self.handle(netns, hook, skb)
        if verdict is NF_ACCEPT and skb.daddr != before:
            return reroute(netns, skb)
        return verdict

    def _bind(self, hook: Hook, skb: Skb, connection: Connection, source: bool) -> Verdict:
        for _, function in self._asked[hook]:
            verdict = function(self._netfilter.netns, hook, skb)
            if verdict is not NF_ACCEPT:
                return verdict
            if connection.status & (SRC_NAT_DONE if source else DST_NAT_DONE):
                break
        if not connection.status & (SRC_NAT_DONE if source else DST_NAT_DONE):
            reply = connection.reply
            address = reply.daddr if source else reply.saddr
            self.set_up(connection, Range(addresses=(address, address)), source=source)
        return NF_ACCEPT

    @staticmethod
    def _link_changed(skb: Skb, connection: Connection, info: CtInfo) -> bool:
        return (
            connection.masquerade_link != 0
            and info not in _REPLY_INFO
            and skb.out_link is not None
            and skb.out_link.index != connection.masquerade_link
        )

    @staticmethod
    def _rewrite(netns: Netns, skb: Skb, connection: Connection, is_reply: bool, source: bool) -> Verdict:
        wanted = SRC_NAT if source is not is_reply else DST_NAT
        if connection.status & wanted:
            # A packet looks like the inverse of the other direction's tuple.
            other = connection.original if is_reply else connection.reply
            if skb.protocol == GRE and not is_translatable_gre(skb, source=source):
                netns.drop(skb, DropReason.NETFILTER_DROP, table="nat", rule="a GRE version that NAT does not know")
                return NF_DROP
            rewrite(netns, skb, other, source=source, undo=is_reply)
        return NF_ACCEPT

    # Bindings

    def set_up(self, connection: Connection, span: Range, *, source: bool) -> None:
        """Choose the mapping of an unconfirmed connection (`nf_nat_setup_info`)."""
        if connection.status & CONFIRMED:
            return
        current = tuples.invert(connection.reply)
        if current is None:
            return
        wanted = self._unique(current, span, connection, source)
        if wanted != current:
            reply = tuples.invert(wanted)
            if reply is not None:
                connection.reply = reply
                connection.status |= SRC_NAT if source else DST_NAT
        connection.status |= SRC_NAT_DONE if source else DST_NAT_DONE

    def remember(self, connection: Connection) -> None:
        """A connection was confirmed: if its source is rewritten, chain it to the others of that source."""
        if not connection.status & SRC_NAT:
            return
        key = _source_key(connection.original)
        older = self._newest_by_source.get(key)
        if older is not None:
            older.newer = connection
        connection.older = older
        self._newest_by_source[key] = connection

    def forget(self, connection: Connection) -> None:
        """A connection ended: take it out of the chain of its source."""
        if not connection.status & SRC_NAT:
            return
        older, newer = connection.older, connection.newer
        if older is not None:
            older.newer = newer
        if newer is not None:
            newer.older = older
        elif older is not None:
            self._newest_by_source[_source_key(connection.original)] = older
        else:
            del self._newest_by_source[_source_key(connection.original)]
        connection.older = connection.newer = None

    def of_source(self, original: Tuple) -> Iterator[Connection]:
        """Yield the connections from the same address and port whose source is rewritten, the newest first."""
        connection = self._newest_by_source.get(_source_key(original))
        while connection is not None:
            yield connection
            connection = connection.older

    def forget_address(self, link: Link, address: int) -> None:
        """End the connections that are masqueraded to an address that went (nf_nat_masquerade.c)."""
        for connection in list(self._conntrack):
            if connection.masquerade_link == link.index and connection.reply.daddr == address:
                self._conntrack.delete(connection)

    def forget_link(self, link: Link) -> None:
        """End the connections that are masqueraded to a link that went down."""
        for connection in list(self._conntrack):
            if connection.masquerade_link == link.index:
                self._conntrack.delete(connection)

    def _used(self, key: Tuple, connection: Connection) -> bool:
        reply = tuples.invert(key)
        return reply is not None and self._conntrack.taken(reply, connection)

    def _used_anew(self, key: Tuple, connection: Connection) -> bool:
        """As `_used`, but not if what has it is the same UDP conversation seen from its other end.

        `nf_nat_used_tuple_new`: no port helps there; confirmation will tell whether the two can be one.
        """
        if not self._used(key, connection):
            return False
        if key.protocol not in CLASH_ALLOWED or connection.status & NAT_MASK:
            return True
        reply = tuples.invert(key)
        zones = connection.reply.zone
        found = self._conntrack.find(key._replace(zone=connection.original.zone), zones)
        if found is None and reply is not None:
            found = self._conntrack.find(reply._replace(zone=connection.original.zone), zones)
        if found is None:
            return False
        other = found[0]
        return bool(other.status & NAT_MASK) or other.original[:-1] != connection.reply[:-1]

    def _unique(self, original: Tuple, span: Range, connection: Connection, source: bool) -> Tuple:
        """Return the tuple to map to, unique if at all possible (`get_unique_tuple`)."""
        if source and not span.draws:
            if span.holds(original, original.sport):
                if not self._used_anew(original, connection):
                    return original
            else:
                mapped = self._known_source(original, span, connection.original.zone)
                if mapped is not None and not self._used(mapped, connection):
                    return mapped
        key = self._with_address(original, span, connection.zone, source)
        if not span.draws:
            if span.ports is None:
                if not self._used(key, connection):
                    return key
            elif span.base is None:
                port = key.sport if source or key.protocol == ICMP else key.dport
                single = span.ports[0] == span.ports[1]
                if span.holds_port(key.protocol, port) and (single or not self._used(key, connection)):
                    return key
        return self._with_port(key, span, connection, source)

    def _known_source(self, original: Tuple, span: Range, zone: int) -> Tuple | None:
        """Return the mapping that the same client port has towards others (`find_appropriate_src`)."""
        for other in self.of_source(original._replace(zone=zone)):
            reply = other.reply
            port = reply.sport if original.protocol == ICMP else reply.dport
            mapped = original._replace(saddr=reply.daddr, sport=port)
            if span.holds(mapped, mapped.sport):
                return mapped
        return None

    @staticmethod
    def _with_address(key: Tuple, span: Range, zone: int, source: bool) -> Tuple:
        if span.addresses is None:
            return key
        low, high = span.addresses
        address = low if low == high else choose_in_range(key.saddr, key.daddr, low, high, zone, span.persistent)
        return key._replace(saddr=address) if source else key._replace(daddr=address)

    def _with_port(self, key: Tuple, span: Range, connection: Connection, source: bool) -> Tuple:
        """Look for a free port (`nf_nat_l4proto_unique_tuple`); the last one tried if there is none."""
        protocol = key.protocol
        if protocol != ICMP and protocol not in PORT_PROTOCOLS:
            return key
        field = "sport" if source or protocol == ICMP else "dport"
        port: int = getattr(key, field)
        if span.ports is not None:
            first, size = span.ports[0], span.ports[1] - span.ports[0] + 1
        elif protocol == ICMP:
            first, size = 0, _ALL_PORTS
        elif not source:
            return key  # a destination keeps its port unless told otherwise
        else:
            first, size = _port_class(port)
        if span.base is not None:
            offset = port - span.base
        else:
            offset = self.draw_offset(field, first, connection.original) if span.draws or source else 0
        attempts = min(size, _MAXIMUM_ATTEMPTS)
        while True:
            for tried in range(attempts):
                key = key._replace(**{field: first + (offset + tried & 0xFFFF) % size})
                if not self._used_harder(key, connection, attempts - tried):
                    return key
            if attempts >= size or attempts < _FEWEST_ATTEMPTS:
                return key
            attempts //= 2
            offset = self.draw_offset(field, first, connection.original)

    def _used_harder(self, key: Tuple, connection: Connection, attempts_left: int) -> bool:
        """As `_used`, but near the end of the tries evict a connection in TIME_WAIT that the new SYN outdates."""
        if attempts_left > _EVICTION_ATTEMPTS or key.protocol != TCP or connection.tcp is None:
            return self._used(key, connection)
        if connection.tcp.state is not TcpState.SYN_SENT:
            return self._used(key, connection)
        reply = tuples.invert(key)
        found = None if reply is None else self._conntrack.find(reply)
        if found is None:
            return False
        other, direction = found
        if direction != REPLY or other.tcp is None or other.tcp.state < TcpState.TIME_WAIT:
            return True
        if other.status & FIXED_TIMEOUT or not other.status & SRC_NAT:
            return True
        if (connection.tcp.words[END] - other.tcp.words[END] - 1) & 0xFFFFFFFF >= 0x7FFFFFFF:
            return True
        self._conntrack.delete(other)
        return False


def _source_key(original: Tuple) -> int:
    return ((original.zone << 8 | original.protocol) << 16 | original.sport) << 32 | original.saddr


def _port_class(port: int) -> tuple[int, int]:
    """Return the first port, and how many, that a source port may move among: privileged ones stay so."""
    if port < 512:
        return 1, 511
    if port < 1024:
        return 600, 424
    return 1024, _ALL_PORTS - 1024
