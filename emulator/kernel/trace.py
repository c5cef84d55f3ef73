"""What a traced packet leaves behind: one `Step` for each decision, in order, across links, namespaces and nodes.

The packet takes the very path that others take; each decision point does
`if skb.trace is not None: skb.trace.add(...)`. Text, JSON and diagrams are renderings of Steps.
"""

import enum
from collections.abc import Callable

from msgspec import Struct, field


class StepKind(enum.Enum):
    """What was decided; the comment names the keys of `Step.detail`."""

    SEND = "send"  # socket
    RECEIVE = "receive"  # link, frame (source and destination MAC)
    TRANSMIT = "transmit"  # link, frame
    BRIDGE = "bridge"  # bridge, port, decision (forward to PORT | flood | local)
    ROUTE = "route"  # decision (local | forward | output | unreachable), route, link, gateway
    NEIGHBOUR = "neighbour"  # address, link, state, mac
    CONNTRACK = "conntrack"  # state (NEW, ESTABLISHED, ...), entry
    # table, chain, number, rule (as iptables-save or nft print it), verdict, logged (of LOG: its line), found (where an
    # nft rule looks into a map: its element)
    RULE = "rule"
    CONSIDERED = "considered"  # table, chain, number, rule; test, seen, wanted: the first test that did not hold
    IGNORED = "ignored"  # table, chain, number, rule, unknown (what it uses that is not here): it never matches
    POLICY = "policy"  # table, chain, verdict
    NAT = "nat"  # kind (DNAT | SNAT | un-DNAT | un-SNAT | ...), before, after
    IPVS = "ipvs"  # what (schedule | persistent | request | reply), service, scheduler, server, state
    MARK = "mark"  # before, after
    REASSEMBLED = "reassembled"  # fragments
    FRAGMENTED = "fragmented"  # fragments
    DELIVER = "deliver"  # protocol, socket
    REPLY = "reply"  # why (the answer that this packet caused)
    DROP = "drop"  # reason (DropReason name), explanation
    UNDERLAY = "underlay"  # from, to (node names)


Detail = str | int


class Step(Struct, frozen=True):
    """One decision about one packet.

    `number` orders the steps of a trace across machines: it travels with the packet. `packet` is the packet as it
    was at that step, in one line as tcpdump prints it.
    """

    trace: int
    number: int
    time: float
    machine: str
    netns: str
    kind: StepKind
    packet: str
    detail: dict[str, Detail] = field(default_factory=dict)


class Trace:
    """The mark that a traced packet, its copies and the replies it causes carry.

    `considered`: also each rule that is looked at and does not match leaves a step.
    """

    __slots__ = ("_record", "considered", "identity", "number")

    def __init__(self, identity: int, number: int, record: Callable[[Step], None], *, considered: bool = False) -> None:
        self.identity = identity
        self.number = number
        self.considered = considered
        self._record = record

    def add(self, kind: StepKind, time: float, machine: str, netns: str, packet: str, /, **detail: Detail) -> None:
        """Record the next step."""
        self.number += 1
        self._record(Step(self.identity, self.number, time, machine, netns, kind, packet, detail))
