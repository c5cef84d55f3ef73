"""Rows of the fault list (facts/faults.md) that the routing and bridging of one machine answer for, one test a row."""

from __future__ import annotations

import random

from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import HOP_LIMIT, Kernel
from emulator.kernel.link import veth
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.fdb import CAPACITY
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.packet.address import ipv4_to_int
from emulator.packet.describe import describe_frame
from tests.kernel.frames import arp, ethernet
from tests.kernel.router import CLIENT, CLIENT_MAC, HERE, Router, datagram, run

ip = ipv4_to_int
BROADCAST, ZERO = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"


def test_row_16_what_is_larger_than_the_mtu_is_cut_or_refused_and_never_lost() -> None:
    router = Router()
    router.b.set_mtu(600)
    for size in range(500, 1400, 100):
        router.feed(router.a, datagram(size=size), datagram(size=size, fragment=0x4000))
        fits = size + 28 <= 600
        told = [describe_frame(frame) for frame in router.taken(router.a)]
        assert len(told) == (0 if fits else 1)
        assert all("need to frag (mtu 600)" in line for line in told)
        assert sum(len(frame) - 34 for frame in router.taken(router.b)) == (size + 8) * (2 if fits else 1)


def test_row_18_a_loop_of_bridges_ends_at_the_hop_limit() -> None:
    kernel = Kernel("machine", random.Random(1))
    netns = Netns(kernel, "node")
    bridges = [Bridge(netns, name, number) for number, name in ((2, "br0"), (4, "br1"))]
    for number in (0, 1):
        ends = veth.pair(netns, f"x{number}", netns, f"y{number}", 16 + number, 32 + number)
        for bridge, end in zip(bridges, ends, strict=True):
            bridge.add_port(end)
            end.set_up()
    nic = Nic(netns, "eth0", 64)
    nic.set_up()
    bridges[0].add_port(nic)
    for bridge in bridges:
        bridge.set_up()
    nic.receive_frame(ethernet(BROADCAST, CLIENT_MAC, bytes(46), 0x88B5))
    run(kernel)
    assert netns.drops[DropReason.HOP_LIMIT] == 2  # the frame goes round both ways
    assert nic.counters.tx_packets <= 2 * HOP_LIMIT


def test_row_22_fragments_that_overlap_or_never_end_are_dropped_timed_out_and_capped() -> None:
    router = Router()
    router.ns.sysctl.set("net.ipv4.ipfrag_high_thresh", 30_000)
    for number in range(200):
        router.feed(router.a, datagram(destination=HERE, size=992, fragment=0x2000, identification=number))
    assert len(router.ns.reassembler) < 30
    assert router.ns.drops[DropReason.FRAG_MEMORY] > 150
    router.feed(router.a, datagram(destination=HERE, size=992, fragment=0x2001, identification=0))
    assert router.ns.drops[DropReason.DUP_FRAG] == 2  # the piece that overlaps, and the one that waited
    router.run(31.0)
    assert len(router.ns.reassembler) == 0
    assert router.ns.drops[DropReason.FRAG_REASM_TIMEOUT] > 10


def test_row_26_a_ttl_of_one_is_reported_at_a_limited_rate() -> None:
    router = Router()
    for _ in range(50):
        router.feed(router.a, datagram(ttl=1))
        router.run(0.1)
    told = router.taken(router.a)
    assert 9 <= len(told) <= 11  # six at once, then one a second
    assert router.ns.drops[DropReason.IP_TTL_EXPIRED] == 50


def test_icmp_errors_to_all_destinations_together_are_limited_too() -> None:
    """Net.ipv4.icmp_msgs_per_sec: a bucket of icmp_msgs_burst credits, of which an error takes 0 to 2."""
    router = Router()
    router.ns.sysctl.set("net.ipv4.icmp_msgs_per_sec", 100)
    router.ns.fib.add(Route(ip("172.16.0.0"), 12, gateway=ip(CLIENT)))
    router.run(1.0)
    router.feed(router.a, *(datagram(source=f"172.16.1.{number}", ttl=1) for number in range(250)))
    assert 30 <= len(router.taken(router.a)) <= 80
    router.run(0.1)
    router.feed(router.a, *(datagram(source=f"172.16.2.{number}", ttl=1) for number in range(250)))
    assert 4 <= len(router.taken(router.a)) <= 20


def test_row_27_arp_unanswered_bounds_the_queue_and_ends_in_host_unreachable() -> None:
    router = Router()
    router.feed(router.a, *(datagram(destination="10.2.0.77", size=1000) for _ in range(300)))
    waiting = router.ns.neighbours.get(router.b, ip("10.2.0.77"))
    assert waiting is not None
    assert waiting.queue_bytes <= 212_992
    assert router.ns.drops[DropReason.NEIGH_QUEUEFULL] > 100
    router.run(4.0)
    assert not waiting.queue
    told = [describe_frame(frame) for frame in router.taken(router.a)]
    assert told
    assert all("host 10.2.0.77 unreachable" in line for line in told)


HAIRPIN = """*nat
-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 80 -j DNAT --to-destination 10.244.1.2:8080
-A POSTROUTING -s 10.244.1.2/32 -d 10.244.1.2/32 -j MASQUERADE
COMMIT
"""


def test_row_29_a_pod_reaches_itself_through_a_vip() -> None:
    kernel = Kernel("machine", random.Random(1))
    node, pod = Netns(kernel, "node"), Netns(kernel, "pod")
    node.sysctl.set("net.ipv4.ip_forward", 1)
    bridge = Bridge(node, "cbr0", 0x0A0000000001)
    bridge.set_up()
    node.add_address(bridge, ip("10.244.1.1"), 24)
    outer, inner = veth.pair(node, "veth0", pod, "eth0", 0x0A0000000002, 0x0A0000000003)
    port = bridge.add_port(outer)
    outer.set_up()
    inner.set_up()
    pod.add_address(inner, ip("10.244.1.2"), 24)
    pod.fib.add(Route(0, 0, gateway=ip("10.244.1.1")))
    node.netfilter.restore(HAIRPIN)
    server, client = pod.sockets.udp(), pod.sockets.udp()
    server.bind(("0.0.0.0", 8080))
    client.send_to(b"ask", ("10.96.0.10", 80))
    run(kernel, 1.0)
    assert server.receive() is None
    port.hairpin = True
    client.send_to(b"ask", ("10.96.0.10", 80))
    run(kernel, 1.0)
    asked = server.receive()
    assert asked is not None
    assert asked.source[0] == "10.244.1.1"
    server.send_to(b"told", asked.source)
    run(kernel, 1.0)
    answer = client.receive()
    assert answer is not None
    assert answer.source == ("10.96.0.10", 80)


def test_row_44_floods_of_arp_and_of_macs_are_capped_and_age() -> None:
    router = Router()
    router.ns.add_address(router.a, ip("10.64.0.1"), 10)
    for number in range(3000):
        sender, address = f"02:00:01:00:{number >> 8:02x}:{number & 255:02x}", f"10.64.{number >> 8}.{number & 255}"
        router.a.receive_frame(ethernet(BROADCAST, sender, arp(1, sender, address, ZERO, HERE), 0x0806))
    run(router.kernel)
    assert len(router.ns.neighbours) <= 1024
    bridge = Bridge(router.ns, "br0", 0x0A0000000001)
    bridge.set_up()
    port = bridge.add_port(router.b)
    for number in range(CAPACITY + 100):
        bridge.fdb.learn((0x060000000000 + number).to_bytes(6, "big"), port)
    assert (bridge.fdb.learned, bridge.fdb.overflows) == (CAPACITY, 100)
    router.run(301.0)
    assert bridge.fdb.learned == 0
