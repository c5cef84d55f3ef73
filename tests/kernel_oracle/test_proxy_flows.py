"""What `proxy render` prints, loaded into the real kernel: the same flows go where `proxy check` says they go.

A real namespace has the node's links, addresses and routes; its tools load the rendered texts as they are. Packets come
in by eth0 and cbr0, or from a raw socket of the node itself, until each endpoint was chosen once.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import NamedTuple

import pytest

from emulator.kernel.netns import Netns
from emulator.kernel.routing.route_text import route_line
from emulator.kube.proxy.modes import MODES
from emulator.packet.address import format_ipv4, is_loopback
from emulator.reachability.check import FlowResult, check_flows
from emulator.reachability.flow import PROTOCOLS, Flow, first_packet
from emulator.reachability.node import BRIDGE, UPLINK, make_node
from emulator.reachability.probe import ACCEPT, DNAT, DROP, REJECT
from emulator.reachability.render import render
from tests.kernel_oracle.harness import PATIENCE, Frames, Testbed, _inside
from tests.reachability.scenario import NODE, Scenario, scenarios

pytestmark = pytest.mark.kernel

MACS = {UPLINK: "02:00:00:00:00:01", BRIDGE: "0a:58:00:00:00:01"}
SENDER = 0x0200_0000_00FE
MOST_TRIES = 400
ICMP = 1
LOADED = [mode for mode in MODES if mode != "ipvs"]  # the kernel at hand has no IPVS
CASES = [scenario for scenario in scenarios() if scenario.name != "affinity"]


class Seen(NamedTuple):
    """What the real node did with one packet."""

    verdict: str
    endpoint: str = ""
    source: str = ""


class NodeBed(Testbed):
    """A real node with rendered rules. Links have no ARP, so that every next hop is known."""

    def build(self, scenario: Scenario, mode: str) -> NodeBed:
        model = scenario.cluster.node(NODE)
        node = make_node(model, scenario.cluster.others(NODE), Random(1))
        for name, mac in MACS.items():
            self.add_link(name, mac)
            self.ip(f"link set dev {name} arp off")
        for name in ("ip_forward", *(f"conf.{conf}.{knob}" for conf in ("all", "default", UPLINK, BRIDGE)
                                     for knob in ("send_redirects", "rp_filter"))):  # fmt: skip
            self._real_sysctl(self.name, f"net.ipv4.{name}", "1" if name == "ip_forward" else "0")
        self._real_sysctl(self.name, "net.ipv4.icmp_ratelimit", "0")
        self._load_addresses(node)
        writes = render(mode, scenario.cluster, NODE, scenario.objects).writes
        for knob, value in writes.sysctls:
            self._real_sysctl(self.name, knob, str(value))
        if writes.iptables:
            self.execute("iptables-restore", "--noflush", stdin=writes.iptables)
        if writes.nft:
            self.execute("nft", "-c", "-f", "-", stdin=writes.nft)
            self.execute("nft", "-f", "-", stdin=writes.nft)
        return self

    def _load_addresses(self, node: Netns) -> None:
        for link in node.links.values():
            for own in link.addresses:
                if not link.loopback:
                    self.ip(f"addr add {format_ipv4(own.address)}/{own.prefix_length} dev {link.name}")
        for route in node.fib.routes():
            if route.protocol != "kernel":
                self.ip(f"route add {route_line(route)}")

    def send(self, flow: Flow, entry: str, source_port: int) -> Seen:
        """Put a flow's first packet in, and tell what became of it. To UDP a program on the node listens."""
        found: Frames = {name: [] for name in MACS}
        with _inside(self.name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
            program.bind(("0.0.0.0", flow.port if flow.protocol == "UDP" else 0))
            program.setblocking(False)
            refused = self._put_in(flow, entry, source_port)
            # Who is let through shows at once; that nothing came takes a moment to be sure of.
            self._collect_real(found, 0.003) or (refused or self._collect_real(found, PATIENCE / 10))
            with contextlib.suppress(BlockingIOError):
                program.recv(1500)
                return Seen(ACCEPT)
        return self._judge(flow, found, source_port, local=entry == "local", refused=refused)

    def _put_in(self, flow: Flow, entry: str, source_port: int) -> bool:
        """Send it; True if the node's own call was refused."""
        if entry == "local":
            return self._send_local(flow, source_port)
        self._sockets[entry].send(bytes(first_packet(flow, source_port, self.ns.links[entry].mac, SENDER)))
        return False

    def _send_local(self, flow: Flow, source_port: int) -> bool:
        packet = bytes(first_packet(flow, source_port, 0, 0)[14:])
        with _inside(self.name), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            try:
                raw.sendto(packet, (format_ipv4(flow.destination), 0))
            except PermissionError:  # netfilter dropped it
                return True
        return False

    @staticmethod
    def _judge(flow: Flow, found: Frames, source_port: int, *, local: bool, refused: bool) -> Seen:
        for frame in (frame for frames in found.values() for frame in frames):
            if frame[12:14] != b"\x08\x00":
                continue
            source, destination = format_ipv4(int.from_bytes(frame[26:30], "big")), frame[30:34]
            port = int.from_bytes(frame[36:38], "big")
            if frame[23] == ICMP:
                return Seen(REJECT)
            if frame[23] != PROTOCOLS[flow.protocol]:
                continue
            if (int.from_bytes(destination, "big"), port) != (flow.source, source_port):
                here = (int.from_bytes(destination, "big"), port) == (flow.destination, flow.port)
                text = f"{format_ipv4(int.from_bytes(destination, 'big'))}:{port}"
                return Seen(ACCEPT if here else DNAT, "" if here else text, source)
            return Seen(ACCEPT)  # the node's own answer: it was delivered
        if local and not refused:
            return Seen(ACCEPT)  # from the node to itself
        return Seen(DROP)


@pytest.fixture
def bed() -> Iterator[NodeBed]:
    with NodeBed() as testbed:
        yield testbed


def entry_of(flow: Flow, scenario: Scenario) -> str:
    model = scenario.cluster.node(NODE)
    if is_loopback(flow.source) or format_ipv4(flow.source) in (model.addresses or ()):
        return "local"
    pods = IPv4Network(model.pod_cidr or "0.0.0.0/32")
    return BRIDGE if IPv4Address(flow.source) in pods else UPLINK


def compare(bed: NodeBed, result: FlowResult, entry: str, own: str) -> list[str]:
    """Send until each endpoint was chosen; return what is otherwise than `proxy check` says.

    What is led to an endpoint on the node itself, at the address `own`, is seen to be delivered, and no more.
    """
    flow, chosen = result.flow, set()
    here = {endpoint for endpoint in result.endpoints if endpoint.startswith(f"{own}:")}
    for number in range(MOST_TRIES):
        seen = bed.send(flow, entry, 20_000 + number)
        if here and seen.verdict == ACCEPT:
            chosen |= here
        elif entry == "local" and result.verdict in (REJECT, DROP):
            return [] if seen.verdict == DROP else [f"{flow.name}: the kernel let it through: {seen}"]
        elif seen.verdict != result.verdict:
            return [f"{flow.name}: the kernel says {seen}, we {result.answer}"]
        elif seen.verdict != DNAT:
            return []
        else:
            chosen.add(seen.endpoint)
            masqueraded = seen.source != format_ipv4(flow.source)
            if entry != "local" and masqueraded is not (seen.endpoint in result.masqueraded):
                return [f"{flow.name}: from {seen.source} to {seen.endpoint}; we say to {result.masqueraded}"]
        if chosen >= set(result.endpoints):
            break
    return [] if chosen == set(result.endpoints) else [f"{flow.name}: {sorted(chosen)}, we say {result.endpoints}"]


@pytest.mark.parametrize("scenario", CASES, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("mode", LOADED)
def test_the_kernel_agrees(bed: NodeBed, mode: str, scenario: Scenario) -> None:
    bed.build(scenario, mode)
    model = scenario.cluster.node(NODE)
    wrong = []
    for result in check_flows(scenario.flows, [mode], scenario.cluster, NODE, scenario.objects):
        wrong += compare(bed, result, entry_of(result.flow, scenario), (model.addresses or ("",))[0])
    assert wrong == []
