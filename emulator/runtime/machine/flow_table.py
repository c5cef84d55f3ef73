"""The flows of one machine: each connection that conntrack knows, and what went wrong with those it knows no longer.

A packet that is dropped, reset or answered with an ICMP error belongs to the flow it was sent on: one flow is one entry
here, whether conntrack keeps it (nothing came back), forgot it (a TCP reset was the only answer) or never had it (the
first packet was dropped, in this namespace or in a pod's, which has no conntrack).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from emulator.api.messages import FlowVerdict
from emulator.kernel.drop import DropReason
from emulator.kernel.drop_log import DropRecord
from emulator.kernel.netfilter.conntrack.connection import REPLY, SEEN_REPLY, Connection
from emulator.kernel.netfilter.conntrack.refusal import TCP_RESET, Refusal
from emulator.kernel.netfilter.conntrack.tuple import ICMP, Tuple, invert
from emulator.packet.address import AF_INET
from emulator.runtime.machine.machine import Machine

SETBACKS_KEPT = 4_096
SETBACK_MEMORY = 120.0
"""Seconds after its last packet that a flow which conntrack does not have is kept: as long as conntrack keeps a SYN
without answer (nf_conntrack_tcp_timeout_syn_sent), so that what other nodes know of the flow ends with it."""

_UNREMARKABLE = frozenset({DropReason.OTHERHOST})
"""Frames that a bridge floods end so at every other port; that is not what anybody asks about."""

_AT_SOCKET = frozenset(
    {reason.name for reason in DropReason if reason.name.startswith("TCP_")}
    | {"NO_SOCKET", "SOCKET_RCVBUFF", "ICMP_IGNORED", TCP_RESET}
)
"""What a socket does with single packets: says nothing of a conversation that has had answers."""

_REFUSED = frozenset({"NO_SOCKET", TCP_RESET, "ICMP_PORT_UNREACH", "ICMP_PROT_UNREACH"})

_Key = tuple[str, Tuple]  # namespace, tuple of the first packet
_T = TypeVar("_T")


class Setback:
    """What went wrong with packets of one flow. `connection` is None where conntrack never saw them.

    `is_overcome`: the flow's connection went on; once that has ended too there is nothing to tell.
    """

    __slots__ = ("answers", "bytes", "connection", "dropped", "first", "is_overcome", "last", "reason")

    def __init__(self, connection: Connection | None, time: float) -> None:
        self.connection = connection
        self.first = self.last = time
        self.reason = ""
        self.answers = 0
        self.dropped = self.bytes = 0
        self.is_overcome = False

    def add_drop(self, record: DropRecord) -> None:
        """Note a packet that was dropped here: no answer tells as well why."""
        self.last = record.time
        self.is_overcome = False
        self.reason = record.reason.name
        self.answers = record.answers
        self.dropped += 1
        self.bytes += record.length
        if record.connection is not None:
            self.connection = record.connection

    def add_refusal(self, refusal: Refusal) -> None:
        """Note an answer that refuses the flow."""
        self.last = refusal.time
        self.is_overcome = False
        self.answers = refusal.answers
        self.connection = refusal.connection
        if not self.dropped:
            self.reason = refusal.reason

    @property
    def verdict(self) -> FlowVerdict:
        """What became of the flow."""
        if self.reason in _REFUSED:
            return FlowVerdict.REFUSED
        is_told = self.reason == DropReason.NETFILTER_REJECT.name or self.reason.startswith("ICMP_")
        return FlowVerdict.REJECTED if is_told else FlowVerdict.DROPPED

    def decides(self, connection: Connection) -> bool:
        """Whether it is the last that is known of a connection: not of an older one, and nothing came back since."""
        if connection.start > self.last:
            return False
        if self.reason in _AT_SOCKET:
            return not connection.status & SEEN_REPLY
        return connection.packets[REPLY] <= self.answers


def explain(reason: str) -> str:
    """Return a setback's reason in words."""
    if reason in DropReason.__members__:
        return DropReason[reason].value
    return "a TCP reset was the only answer" if reason == TCP_RESET else "an ICMP error came back"


class Flow(NamedTuple):
    """One flow: a connection of the table, a setback, or both. `original` is the tuple of its first packet."""

    identity: str
    netns: str
    original: Tuple
    connection: Connection | None  # alive: in the table
    setback: Setback | None


class FlowTable:
    """The flows of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._setbacks: OrderedDict[_Key, Setback] = OrderedDict()

    def count(self) -> int:
        """How many connections are tracked."""
        return sum(len(netns.netfilter.conntrack) for netns in self.machine.kernel.namespaces.values())

    def limit(self) -> int:
        """How many the namespaces that track connections may have at most; 0 if there is no limit, or none does."""
        tables = [netns.netfilter.conntrack for netns in self.machine.kernel.namespaces.values()]
        return sum(table.maximum for table in tables if table.enabled)

    def flows(self) -> Iterator[Flow]:
        """Yield all flows; takes over the machine's logs of drops and refusals."""
        self._drain()
        lone = dict(self._setbacks)
        for name, netns in self.machine.kernel.namespaces.items():
            if netns.netfilter.conntrack.enabled:
                for connection in netns.netfilter.conntrack:
                    setback = lone.pop((name, connection.original), None) if lone else None
                    if setback is not None and not setback.decides(connection):
                        setback.is_overcome = True
                    yield Flow(f"{name}/{connection.identity}", name, connection.original, connection, setback)
        horizon = self.machine.kernel.now - SETBACK_MEMORY
        for key, setback in lone.items():
            if setback.last < horizon or setback.is_overcome:
                del self._setbacks[key]
            else:
                netns_name, original = key
                yield Flow(f"{netns_name}/{'/'.join(map(str, original))}", netns_name, original, None, setback)

    # --- the machine's logs ---

    def _drain(self) -> None:
        """Take over both logs. Drops that conntrack did not see come last: they may belong to what the others tell."""
        kernel = self.machine.kernel
        alone = []
        for refusal in _taken(kernel.refusals):
            key = (refusal.netns, refusal.connection.original)
            self._setback(key, refusal.connection, refusal.time).add_refusal(refusal)
        for record in _taken(kernel.drop_log):
            if record.reason in _UNREMARKABLE or not record.protocol:
                continue
            if record.connection is None:
                alone.append(record)
            else:
                key = (record.netns, record.connection.original)
                self._setback(key, record.connection, record.time).add_drop(record)
        refused = self._by_last_tuple() if alone else {}
        for record in alone:
            original = _tuple_of(record)
            found = self._tracked(original) or refused.get(original)
            if found is None and record.begins_flow:
                found = record.netns, original
            if found is not None:
                self._setback(found, None, record.time).add_drop(record)

    def _setback(self, key: _Key, connection: Connection | None, time: float) -> Setback:
        setback = self._setbacks.get(key)
        if setback is None:
            setback = self._setbacks[key] = Setback(connection, time)
            if len(self._setbacks) > SETBACKS_KEPT:
                self._setbacks.popitem(last=False)
        else:
            self._setbacks.move_to_end(key)
        return setback

    def _tracked(self, packet: Tuple) -> _Key | None:
        """Return the connection that a packet of another namespace here belongs to, as it is or as NAT left it."""
        answer = None if packet.protocol == ICMP else invert(packet)
        if answer is None:  # ICMP: the log has no identifier
            return None
        for name, netns in self.machine.kernel.namespaces.items():
            conntrack = netns.netfilter.conntrack
            found = (conntrack.find(packet) or conntrack.find(answer)) if conntrack.enabled else None
            if found is not None:
                return name, found[0].original
        return None

    def _by_last_tuple(self) -> dict[Tuple, _Key]:
        """Return the flows that conntrack has forgotten, by their packets' tuple as they left it."""
        result = {}
        for key, setback in self._setbacks.items():
            if setback.connection is not None:
                last = invert(setback.connection.reply)
                result[key[1] if last is None else last] = key
        return result


def _taken(log: deque[_T]) -> Iterator[_T]:
    while log:
        yield log.popleft()


def _tuple_of(record: DropRecord) -> Tuple:
    return Tuple(AF_INET, record.protocol, record.saddr, record.daddr, record.sport, record.dport)
