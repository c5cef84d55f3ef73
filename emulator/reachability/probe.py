"""Puts a flow's first packet through a node, again for every way that its rules leave to chance, and tells each end.

Nothing is remembered from one packet to the next: each comes long after all timeouts, to a node without connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from random import Random

from msgspec import Struct

from emulator.bundle.bundle import load_bundle
from emulator.bundle.edge import EdgeLink
from emulator.bundle.inject import receive, send
from emulator.bundle.local import take_deliveries
from emulator.errors import PodwireError
from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.iptables.rule import Rule
from emulator.kernel.netfilter.nft.statement.translate import Translate
from emulator.kernel.netfilter.nft.table import NftRule
from emulator.kernel.netfilter.target.nat import Masquerade, Snat
from emulator.kernel.record import Record
from emulator.kernel.skb import Skb
from emulator.packet.address import format_ipv4, is_loopback
from emulator.reachability.cluster import NodeModel
from emulator.reachability.explore import EveryWay
from emulator.reachability.flow import FIRST_PORT, PROTOCOLS, Flow, first_packet
from emulator.reachability.node import BRIDGE, UPLINK

DNAT, REJECT, DROP, ACCEPT = "DNAT", "REJECT", "DROP", "ACCEPT"
_REFUSED = (DropReason.NETFILTER_REJECT, DropReason.IPVS_NO_SERVER)
"""Both send "port unreachable" to the client: a virtual service without real servers does it as a rule does."""

LOCAL = "local"
_LONG = 2 * 86_400.0
"""Seconds between two packets: Kubernetes lets session affinity last a day at most."""
MOST_WAYS = 100_000
_REPEATED = 3
"""After so many ends that were met before, the next ones will be too."""
_PORTS = 20_000
_SENDER_MAC = 0x0200_0000_00FE
_NETWORK = 14


class Outcome(Struct, frozen=True):
    """The end of one packet.

    `endpoint` is where it was translated to ("ip:port"), or empty. `masqueraded`: it went on from an address of the
    node, chosen by a rule. `rules`: those that matched, as `emulator replay` names them. `reason`: why it went no
    further, as Linux spells it; empty if a rule says so.
    """

    verdict: str
    endpoint: str = ""
    masqueraded: bool = False
    rules: tuple[str, ...] = ()
    reason: str = ""


class _End(Struct, frozen=True):
    """Addresses and port of a packet as it left the node or was delivered on it."""

    source: int
    destination: int
    port: int


class Probe:
    """A node out of a bundle, and what came of the packet in hand."""

    def __init__(self, bundle: Path, node: NodeModel, *, turns: int = 1) -> None:
        """Load the node. `turns`: how often a packet is sent each way at most, where connections take turns (IPVS)."""
        self._ways = EveryWay()
        self._turns = turns
        self._pods = IPv4Network(node.pod_cidr) if node.pod_cidr else None
        self._end: _End | None = None
        self._protocol = 0
        loaded = load_bundle(bundle, self._sent, Random(0), assume_neighbours=True)
        self._netns, self._kernel = loaded.netns, loaded.kernel
        # In ipvs mode the addresses of Services are among them: a client on the node speaks to one from that very one.
        self._own = {own.address for link in self._netns.links.values() for own in link.addresses}
        self._kernel.choices = self._ways
        take_deliveries(self._netns)
        for number in PROTOCOLS.values():
            self._netns.protocols[number] = self._delivered

    def entry(self, flow: Flow) -> str:
        """Return where a flow comes from: `local` (the node itself), cbr0 (a pod of it) or eth0 (all others)."""
        if flow.source in self._own or is_loopback(flow.source):
            return LOCAL
        if self._pods is not None and IPv4Address(flow.source) in self._pods:
            return BRIDGE
        return UPLINK

    def outcomes(self, flow: Flow) -> Iterator[Outcome]:
        """Yield the end of each way that the flow's first packet may take."""
        for _ in range(MOST_WAYS):
            yield from self._all_turns(flow)
            if not self._ways.next_way():
                return
        raise PodwireError(f"{flow.name}: more than {MOST_WAYS} ways are left to chance; that is not followed")

    def _all_turns(self, flow: Flow) -> Iterator[Outcome]:
        """Send connection after connection until ends repeat themselves: a scheduler is through its servers then.

        First at one time, since some schedulers look at how many connections servers have; then one after another's
        timeouts, since a client that has a server by persistence gets no other before.
        """
        yield self._try(flow, flow.source_port, pause=_LONG)
        for pause in (0.0, _LONG) if self._turns > 1 else ():
            met: set[Outcome] = set()
            repeated = turn = 0
            while repeated < _REPEATED and turn < self._turns + _REPEATED:
                turn += 1
                outcome = self._try(flow, FIRST_PORT + turn % _PORTS, pause=pause)
                yield outcome
                repeated = repeated + 1 if outcome in met else 0
                met.add(outcome)

    def _try(self, flow: Flow, source_port: int, *, pause: float) -> Outcome:
        kernel = self._kernel
        self._pass_time(kernel.now + pause)
        self._netns.netfilter.conntrack.flush()
        for link in self._netns.links.values():
            self._netns.neighbours.flush_link(link)  # who was made up then is made up again
        self._ways.begin()
        self._end, self._protocol = None, PROTOCOLS[flow.protocol]
        record = Record()
        entry = self.entry(flow)
        faults = kernel.fault_count
        if entry == LOCAL:
            send(self._netns, first_packet(flow, source_port, 0, 0), record)
        else:
            link = self._netns.links[entry]
            receive(link, first_packet(flow, source_port, link.mac, _SENDER_MAC), record)
        self._pass_time(kernel.now)
        if kernel.fault_count > faults:
            raise PodwireError(f"a fault of the emulator: {kernel.faults[-1].error.strip().splitlines()[-1]}")
        return self._outcome(flow, record)

    def _pass_time(self, until: float) -> None:
        kernel = self._kernel
        while (deadline := kernel.next_deadline()) is not None and deadline <= until:
            kernel.run(deadline)
        kernel.run(until)

    # Where the packet ends

    def _sent(self, _link: EdgeLink, frame: bytes) -> None:
        """Note the flow's own packet as it leaves; the node's answers (ICMP, ARP) are of other protocols."""
        if frame[12:14] == b"\x08\x00" and frame[_NETWORK + 9] == self._protocol:
            self._note(frame, _NETWORK)

    def _delivered(self, skb: Skb) -> None:
        if skb.record is not None:
            skb.record.delivered = True
            self._note(skb.data, _NETWORK)

    def _note(self, frame: bytes | bytearray, network: int) -> None:
        transport = network + (frame[network] & 15) * 4
        self._end = _End(
            int.from_bytes(frame[network + 12 : network + 16], "big"),
            int.from_bytes(frame[network + 16 : network + 20], "big"),
            int.from_bytes(frame[transport + 2 : transport + 4], "big"),
        )

    def _outcome(self, flow: Flow, record: Record) -> Outcome:
        rules = tuple(f"{chain.table.name}:{chain.name}:rule:{rule.number}" for chain, rule in record.rules)
        end = self._end
        if end is not None and (record.left or record.delivered):
            translated = (end.destination, end.port) != (flow.destination, flow.port)
            endpoint = f"{format_ipv4(end.destination)}:{end.port}" if translated else ""
            # Of what the node itself sends, the address may be the same again: then only its port says so, or nothing.
            masqueraded = end.source != flow.source or any(_masquerades(rule) for _, rule in record.rules)
            return Outcome(DNAT if translated else ACCEPT, endpoint, masqueraded, rules)
        reason = record.drops[-1] if record.drops else None
        verdict = REJECT if reason in _REFUSED else DROP
        by_rule = reason in _REFUSED or reason is DropReason.NETFILTER_DROP
        return Outcome(verdict, rules=rules, reason="" if by_rule else "STOLEN" if reason is None else reason.name)


def _masquerades(rule: Rule | NftRule) -> bool:
    """Whether a rule translates the source."""
    if isinstance(rule, Rule):
        return isinstance(rule.spec.target, Masquerade | Snat)
    return any(isinstance(each, Translate) and each.kind in ("masquerade", "snat") for each in rule.statements)
