"""Connection tracking: finds or makes the connection of each packet, early in PREROUTING and OUTPUT.

A new one enters the table when its packet leaves the last hook, so that a dropped first packet leaves nothing
(nf_conntrack_core.c).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack import proto_generic, proto_icmp, proto_sctp, proto_tcp, proto_udp
from emulator.kernel.netfilter.conntrack import tuple as tuples
from emulator.kernel.netfilter.conntrack.connection import (
    ACCOUNTED,
    ASSURED,
    CHANGED_ASSURED,
    CHANGED_REPLY,
    CHANGED_STATE,
    CHANGES,
    CONFIRMED,
    DYING,
    FIXED_TIMEOUT,
    NAT_MASK,
    ORIGINAL,
    REPLY,
    SEEN_REPLY,
    TEMPLATE,
    TIMESTAMPED,
    UNOBSERVED,
    Connection,
    Template,
)
from emulator.kernel.netfilter.conntrack.ctstate import entry_of, state_name
from emulator.kernel.netfilter.conntrack.early_drop import EarlyDrop
from emulator.kernel.netfilter.conntrack.entry_text import load_entries
from emulator.kernel.netfilter.conntrack.event import EventKind, Events
from emulator.kernel.netfilter.conntrack.expiry import ExpiryWheel
from emulator.kernel.netfilter.conntrack.proto_icmp import IcmpVerdict
from emulator.kernel.netfilter.conntrack.settings import Settings
from emulator.kernel.netfilter.conntrack.statistics import Statistics
from emulator.kernel.netfilter.conntrack.tracker import TRACKED, Tracked, Tracker
from emulator.kernel.netfilter.conntrack.tuple import GRE, ICMP, SCTP, TCP, UDP, UDPLITE, Tuple
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_DROP, NF_INET_PRE_ROUTING, Hook, Priority, Verdict
from emulator.kernel.skb import IP_CT_ESTABLISHED, IP_CT_ESTABLISHED_REPLY, IP_CT_NEW, IP_CT_UNTRACKED, CtInfo
from emulator.kernel.trace import StepKind
from emulator.packet.address import AF_INET

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

_TRACKERS: Mapping[int, Tracker] = MappingProxyType(
    {
        TCP: proto_tcp.track,
        UDP: proto_udp.track,
        ICMP: proto_icmp.track,
        GRE: proto_generic.track_gre,
        SCTP: proto_sctp.track,
        UDPLITE: proto_udp.track_lite,
    }
)
_NO_ZONES = (0, 0)
_MOST_NUMBERS = 150_000  # addresses and ports that are remembered for sharing


class Conntrack(Settings):
    """The table of one namespace. Iterates over the connections that are alive, oldest first."""

    def __init__(self, netfilter: Netfilter) -> None:
        super().__init__()
        self.netfilter = netfilter
        self.netns = netfilter.netns
        self._kernel = netfilter.netns.kernel
        self.enabled = False
        self.statistics = Statistics()
        self._originals: dict[Tuple, Connection] = {}
        self._replies: dict[Tuple, Connection] = {}
        self._wheel = ExpiryWheel(self.netns.kernel, self.delete)
        self._early_drop = EarlyDrop(self)
        self.event_log = Events()
        self._next_identity = 1
        self._numbers: dict[int, int] = {}  # one object for equal addresses, ports and statuses: a quarter of an entry

    @property
    def now(self) -> float:
        """The machine's time."""
        return self._kernel.now

    def __iter__(self) -> Iterator[Connection]:
        now = self.now
        return iter([connection for connection in self._originals.values() if connection.deadline > now])

    def entries(self) -> Iterable[Connection]:
        """All of the table, those that have ended but were not let go of among them, oldest first; do not change it."""
        return self._originals.values()

    def __len__(self) -> int:
        return len(self._originals)

    @property
    def allocated(self) -> int:
        """How many connections are held in memory: those of the table, and ended ones that wait to be let go of."""
        return len(self._wheel)

    def enable(self) -> None:
        """Register the hooks. Whoever adds a rule that needs connections calls this."""
        if self.enabled:
            return
        self.enabled = True
        register = self.netfilter.register
        self.netfilter.enable_defragmentation()
        for hook in (Hook.PREROUTING, Hook.OUTPUT):
            register(hook, Priority.CONNTRACK, "conntrack", self.handle)
        for hook in (Hook.INPUT, Hook.POSTROUTING):
            register(hook, Priority.CONNTRACK_CONFIRM, "conntrack-confirm", self.confirm)

    def disable(self) -> None:
        """Take the hooks away, since the last rule that needed connections went; entries stay until they end."""
        if self.enabled:
            self.enabled = False
            self.netfilter.unregister(frozenset({"conntrack", "conntrack-confirm"}))

    # Lookups

    def find(self, key: Tuple, reply_zone: int | None = None) -> tuple[Connection, int] | None:
        """Return the live connection that a tuple belongs to and the tuple's direction in it.

        `reply_zone`: the zone in which it is looked for as an answer, if it is not that of `key`.
        """
        connection = self._originals.get(key)
        direction = ORIGINAL
        if connection is None:
            if reply_zone is not None and reply_zone != key.zone:
                key = key._replace(zone=reply_zone)
            connection = self._replies.get(key)
            if connection is None:
                return None
            direction = REPLY
        elif key.saddr == key.daddr and self._replies.get(key) is connection:
            direction = REPLY  # its own answer: Linux puts the reply tuple in front of the original one
        if connection.deadline <= self._kernel.now:
            self.delete(connection)
            return None
        return connection, direction

    def taken(self, reply: Tuple, ignored: Connection) -> bool:
        """Whether another connection has this tuple, so that NAT must not make it (`nf_conntrack_tuple_taken`).

        One with the same original tuple does not count: it is the same flow.
        """
        found = self._clashing(reply, REPLY, ignored.original.zone == reply.zone)
        if found is None or found is ignored or found.original == ignored.original:
            return False
        self.statistics.found += 1
        return True

    def _clashing(self, key: Tuple, direction: int, one_zone: bool) -> Connection | None:
        """Return the connection that has a tuple in a direction; in the other one too if both are in one zone."""
        table, other = (self._replies, self._originals) if direction == REPLY else (self._originals, self._replies)
        found = table.get(key)
        if found is None and one_zone:
            found = other.get(key)
        if found is not None and found.deadline <= self.now:
            self.delete(found)
            return None
        return found

    def clashes(self, connection: Connection) -> Connection | None:
        """Return the connection that has one of the tuples of one that is to be entered."""
        one_zone = connection.original.zone == connection.reply.zone
        winner = self._clashing(connection.original, ORIGINAL, one_zone)
        return winner or self._clashing(connection.reply, REPLY, one_zone)

    # Hooks

    def handle(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Give a packet its connection (`nf_conntrack_in`)."""
        zones = _NO_ZONES
        if skb.ct is not None:
            if not isinstance(skb.ct, Template):  # seen before: it came round by the loopback
                return NF_ACCEPT
            zones = skb.ct.zones(skb.mark)
            skb.ct = None
        elif skb.ctinfo is IP_CT_UNTRACKED:
            if skb.record is not None:
                skb.record.state = state_name(skb)
            return NF_ACCEPT
        verdict = self._resolve(skb, zones, verify=self.checksum and hook is NF_INET_PRE_ROUTING)
        if verdict is not None:
            netns.drop(skb, verdict)
            return NF_DROP
        if skb.record is not None:
            skb.record.note_connection(state_name(skb), skb)
        if skb.trace is not None:
            skb.step(netns, StepKind.CONNTRACK, state=state_name(skb), entry=entry_of(skb))
        return NF_ACCEPT

    def _resolve(self, skb: Skb, zones: tuple[int, int], *, verify: bool) -> DropReason | None:
        skb.ctinfo = IP_CT_NEW
        if skb.fragment & 0x1FFF:  # only where nothing reassembles
            self.statistics.invalid += 1
            return None
        protocol = skb.protocol
        if protocol == ICMP:
            verdict = proto_icmp.examine(self, skb, zones, verify=verify)
            if verdict is not IcmpVerdict.LOOK_UP:
                self.statistics.error += verdict is IcmpVerdict.INVALID
                return None
            key = tuples.of_packet(skb.data, ICMP, skb.transport, skb.saddr, skb.daddr, zones[0])
        else:
            ports = protocol in tuples.PORT_PROTOCOLS
            sport, dport = (skb.sport, skb.dport) if ports else (0, 0)
            key = Tuple(AF_INET, protocol, skb.saddr, skb.daddr, sport, dport, zones[0])
        return self._track(skb, key, zones[1], verify=verify)

    def _track(self, skb: Skb, key: Tuple | None, reply_zone: int, *, verify: bool) -> DropReason | None:
        tracker = _TRACKERS.get(skb.protocol, proto_generic.track)
        tracked = Tracked.REPEAT
        while key is not None and tracked is Tracked.REPEAT:
            found = self.find(key, reply_zone) or self._begin(key, reply_zone)
            if found is None:
                break
            if isinstance(found, DropReason):
                self.statistics.drop += 1
                return found
            connection, direction = found
            tracked = tracker(self, connection, skb, direction, verify=verify)
            if tracked is TRACKED:
                self._attach(skb, connection, direction)
                return None
        self.statistics.invalid += 1
        return None

    def _attach(self, skb: Skb, connection: Connection, direction: int) -> None:
        skb.ct = connection
        if direction == ORIGINAL:
            skb.ctinfo = IP_CT_ESTABLISHED if connection.status & SEEN_REPLY else IP_CT_NEW
            return
        skb.ctinfo = IP_CT_ESTABLISHED_REPLY
        if not connection.status & SEEN_REPLY:
            connection.status |= SEEN_REPLY | CHANGED_REPLY

    def _begin(self, key: Tuple, reply_zone: int) -> tuple[Connection, int] | DropReason | None:
        reply = tuples.invert(key)
        if reply is None:
            return None
        if self.maximum and len(self._originals) >= self.maximum and not self._early_drop.make_room():
            return DropReason.CONNTRACK_FULL
        if reply_zone != key.zone:
            reply = reply._replace(zone=reply_zone)
        connection = Connection(key, reply)
        if self.accounting:
            connection.status |= ACCOUNTED
        if self.timestamps:
            connection.status |= TIMESTAMPED
        if not self.events:
            connection.status |= UNOBSERVED
        return connection, ORIGINAL

    def confirm(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Enter a new connection into the table, as its first packet leaves, and tell what changed."""
        connection = skb.ct
        if connection is None or connection.status & TEMPLATE:
            return NF_ACCEPT
        if not connection.status & CONFIRMED:
            verdict = self._confirm(netns, skb, connection)
            if verdict is not NF_ACCEPT:
                return verdict
        elif connection.status & CHANGES:
            self.event_log.deliver(connection, self.now)
            connection.status = self._numbers.setdefault(connection.status, connection.status)
        return NF_ACCEPT

    def _confirm(self, netns: Netns, skb: Skb, connection: Connection) -> Verdict:
        """`__nf_conntrack_confirm`, and of `nf_ct_resolve_clash` what one packet at a time can meet."""
        if skb.ctinfo in (IP_CT_ESTABLISHED_REPLY, CtInfo.RELATED_REPLY):  # REJECT's answer to an unconfirmed packet
            return NF_ACCEPT
        if connection.status & DYING:
            self.statistics.insert_failed += 1
            netns.drop(skb, DropReason.CONNTRACK_CLASH)
            return NF_DROP
        winner = self.clashes(connection)
        if winner is None:
            self.insert(connection)
            return NF_ACCEPT
        # Packets come one by one, so that the winner can only be a conversation's other end in other zones, one that
        # `conntrack -I` made meanwhile, or one that NAT found no way around.
        same = (winner.original, winner.reply) == (connection.original, connection.reply)
        if same and connection.protocol in tuples.CLASH_ALLOWED:
            self.statistics.clash_resolve += 1
            skb.ct = winner
            return NF_ACCEPT
        self.statistics.insert_failed += 1
        self.statistics.drop += 1
        exhausted = connection.status & NAT_MASK
        netns.drop(skb, DropReason.NAT_EXHAUSTED if exhausted else DropReason.CONNTRACK_CLASH)
        return NF_DROP

    # Changes

    def insert(self, connection: Connection, program: str = "", *, changes: int = CHANGED_STATE) -> None:
        """Enter a connection whose tuples are free; `deadline` turns from a duration into a time.

        `program`: who made it, if it was not made by a packet; `changes`: what the event tells.
        """
        now = self.now
        connection.deadline += now
        connection.start = now
        status = connection.status & ~CHANGES | CONFIRMED
        connection.status = self._numbers.setdefault(status, status)
        connection.identity = self._next_identity
        self._next_identity += 1
        connection.original = self._share(connection.original)
        connection.reply = self._share(connection.reply)
        self._originals[connection.original] = connection
        self._replies[connection.reply] = connection
        self._wheel.add(connection)
        self.netfilter.nat.remember(connection)
        self.event_log.tell(EventKind.NEW, connection, now, changes=changes, program=program)

    def _share(self, key: Tuple) -> Tuple:
        """Return an equal tuple whose numbers are objects that other entries have too."""
        known = self._numbers
        if len(known) > _MOST_NUMBERS:  # entries that ended have left theirs behind
            known.clear()
        share = known.setdefault
        _, protocol, saddr, daddr, sport, dport, zone = key
        return Tuple(
            AF_INET, protocol, share(saddr, saddr), share(daddr, daddr), share(sport, sport), share(dport, dport), zone
        )

    def load(self, text: str) -> int:
        """Enter the connections of `conntrack -L -o extended`, as they were then; return how many.

        EntryTextError names a line that is no entry, or whose tuples are in the table already; the lines before it
        are in the table then.
        """
        return load_entries(self, text)

    def refresh(self, connection: Connection, skb: Skb, direction: int, timeout: float) -> None:
        """Count a packet and give the connection `timeout` more seconds (`nf_ct_refresh_acct`)."""
        connection.count(direction, len(skb.data) - skb.network)
        self.renew(connection, timeout)

    def renew(self, connection: Connection, timeout: float) -> None:
        """Let the connection end `timeout` seconds from now, or from its confirmation."""
        status = connection.status
        if status & FIXED_TIMEOUT:
            return
        if not status & CONFIRMED:
            connection.deadline = timeout
            return
        connection.deadline = deadline = self._kernel.now + timeout
        if deadline + 1 < connection.bucket:
            self._wheel.add(connection)
            self._wheel.vacate()

    def assure(self, connection: Connection) -> None:
        """Spare it from early drops from now on."""
        if not connection.status & ASSURED:
            connection.status |= ASSURED | CHANGED_ASSURED

    def delete(self, connection: Connection, program: str = "") -> None:
        """Take a connection out of the table; a packet that still has it goes on with it.

        `program`: who asked for it, if it was neither a packet nor its timeout.
        """
        if connection.status & DYING:
            return
        connection.status |= DYING
        if self._originals.get(connection.original) is connection:
            del self._originals[connection.original]
        if self._replies.get(connection.reply) is connection:
            del self._replies[connection.reply]
        if not connection.status & CONFIRMED:
            return
        self._wheel.vacate()
        self.netfilter.nat.forget(connection)
        self.event_log.tell(EventKind.DESTROY, connection, self.now, program=program)

    def flush(self, program: str = "") -> None:
        """Delete all connections."""
        for connection in list(self._originals.values()):
            self.delete(connection, program)

    def close(self) -> None:
        """Forget all connections, because the namespace goes away."""
        self.flush()
        self._wheel.clear()
        self._numbers.clear()
        self._early_drop.clear()
