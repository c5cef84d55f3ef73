"""The bridge: learning, ageing, flooding, ports that come and go, and what br_netfilter shows to the hooks."""

from __future__ import annotations

import random

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.fdb import AGEING_TIME, CAPACITY
from emulator.kernel.link.nic import Nic
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import RouteError
from emulator.kernel.skb import Skb
from emulator.packet.address import ipv4_to_int, mac_to_int
from tests.kernel.frames import echo, ethernet, ipv4, udp
from tests.kernel.router import run, taken

ONE, TWO, THREE = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03"
BROADCAST = "ff:ff:ff:ff:ff:ff"
BRIDGE_MAC = "02:00:00:00:00:b0"


class Switch:
    """A bridge with three NICs as its ports."""

    def __init__(self, mac: str | None = BRIDGE_MAC) -> None:
        self.kernel = Kernel("switch", random.Random(3))
        self.ns = Netns(self.kernel, "switch")
        self.bridge = Bridge(self.ns, "br0", None if mac is None else mac_to_int(mac))
        self.bridge.set_up()
        self.nics = [Nic(self.ns, f"p{number}", 0x020000000001 + number) for number in range(3)]
        self.ports = [self.bridge.add_port(nic) for nic in self.nics]
        for nic in self.nics:
            nic.set_up()

    def feed(self, number: int, frame: bytes) -> list[int]:
        """Put a frame in at a port; return how many came out of each."""
        self.nics[number].receive_frame(frame)
        run(self.kernel)
        return [len(taken(nic)) for nic in self.nics]


def frame(source: str, destination: str) -> bytes:
    return ethernet(destination, source, bytes(46), 0x88B5)


def test_it_floods_what_it_does_not_know_and_learns() -> None:
    switch = Switch()
    assert switch.feed(0, frame(ONE, TWO)) == [0, 1, 1]
    assert switch.feed(1, frame(TWO, ONE)) == [1, 0, 0]
    assert switch.feed(2, frame(THREE, TWO)) == [0, 1, 0]
    assert [str(entry) for entry in switch.bridge.fdb if not entry.local] == [
        f"{ONE} dev p0 master br0",
        f"{TWO} dev p1 master br0",
        f"{THREE} dev p2 master br0",
    ]


def test_entries_age_after_five_minutes_of_silence() -> None:
    switch = Switch()
    switch.feed(0, frame(ONE, BROADCAST))
    run(switch.kernel, AGEING_TIME - 1)
    assert switch.feed(1, frame(TWO, ONE)) == [1, 0, 0]
    run(switch.kernel, 2)
    assert switch.feed(1, frame(TWO, ONE)) == [1, 0, 1]
    run(switch.kernel, 2 * AGEING_TIME)
    assert switch.bridge.fdb.learned == 0
    assert switch.kernel.next_deadline() is None


def test_a_flood_of_addresses_fills_the_table_and_no_more() -> None:
    switch = Switch()
    for number in range(CAPACITY + 100):
        switch.bridge.fdb.learn((0x0A0000000000 + number).to_bytes(6, "big"), switch.ports[0])
    assert switch.bridge.fdb.learned == CAPACITY
    assert switch.bridge.fdb.overflows == 100
    assert switch.feed(0, frame(ONE, TWO)) == [0, 1, 1]


def test_hairpin_and_isolation_of_ports() -> None:
    switch = Switch()
    switch.feed(0, frame(ONE, BROADCAST))
    assert switch.feed(0, frame(TWO, ONE)) == [0, 0, 0]
    assert switch.ns.drops[DropReason.BRIDGE_NO_PORT] == 1
    switch.ports[0].hairpin = True
    assert switch.feed(0, frame(TWO, ONE)) == [1, 0, 0]
    switch.ports[0].isolated = switch.ports[1].isolated = True
    assert switch.feed(0, frame(ONE, BROADCAST)) == [0, 0, 1]


def test_its_mac_is_the_lowest_of_its_ports_unless_given() -> None:
    switch = Switch(mac=None)
    assert switch.bridge.mac == 0x020000000001
    switch.bridge.remove_port(switch.nics[0])
    assert switch.bridge.mac == 0x020000000002
    switch.nics[2].mac = 0x01
    assert switch.bridge.mac == 0x01
    switch.bridge.set_mac(0x020000000077)
    switch.bridge.add_port(switch.nics[0])
    assert switch.bridge.mac == 0x020000000077
    permanent = {entry.address for entry in switch.bridge.fdb if entry.local}
    assert permanent == {0x020000000077, 0x020000000001, 0x020000000002, 0x01}


def test_a_bridge_whose_ports_all_left_has_no_mac_and_no_carrier() -> None:
    switch = Switch(mac=None)
    fresh = Bridge(switch.ns, "br1")
    fresh.set_up()
    assert fresh.carrier
    assert switch.bridge.carrier
    for nic in switch.nics:
        switch.bridge.remove_port(nic)
    assert switch.bridge.mac == 0
    assert not switch.bridge.carrier


def test_its_mtu_is_the_smallest_of_its_ports() -> None:
    switch = Switch()
    switch.nics[1].set_mtu(1400)
    assert switch.bridge.mtu == 1400
    switch.bridge.remove_port(switch.nics[1])
    assert switch.bridge.mtu == 1500


def test_a_port_that_is_down_is_left_out() -> None:
    switch = Switch()
    switch.nics[1].set_up(False)
    assert switch.feed(0, frame(ONE, BROADCAST)) == [0, 0, 1]
    assert [port.state for port in switch.ports] == ["forwarding", "disabled", "forwarding"]


def test_a_port_that_leaves_is_forgotten() -> None:
    switch = Switch()
    switch.feed(0, frame(ONE, BROADCAST))
    switch.ns.remove_link(switch.nics[0])
    assert switch.feed(1, frame(TWO, ONE)) == [0, 0, 1]
    assert switch.nics[0].master is None


def test_only_links_that_may_be_ports_become_ports() -> None:
    switch = Switch()
    for link in (switch.ns.loopback, Bridge(switch.ns, "br1"), switch.nics[0]):
        with pytest.raises(RouteError):
            switch.bridge.add_port(link)


def test_the_machine_speaks_on_its_bridge() -> None:
    switch = Switch()
    switch.ns.add_address(switch.bridge, ipv4_to_int("10.1.0.1"), 24)
    ping = ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.1.0.1", 1, echo()))
    assert switch.feed(0, ping) == [1, 1, 1]  # an ARP request
    assert switch.bridge.counters.rx_packets == 1


def test_bridged_ipv4_passes_the_hooks_with_the_bridge_as_its_link() -> None:
    switch = Switch()
    seen: list[tuple[str, ...]] = []

    def note(netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        links = (skb.in_link, skb.out_link, skb.physical_in, skb.physical_out)
        seen.append((hook.name, *("-" if link is None else link.name for link in links)))
        return Verdict.ACCEPT

    for hook in Hook:
        switch.ns.netfilter.register(hook, 0, "test", note)
    switch.feed(1, frame(TWO, BROADCAST))
    packet = ethernet(TWO, ONE, ipv4("10.1.0.2", "10.1.0.3", 17, udp("10.1.0.2", "10.1.0.3", 1, 2)))
    assert switch.feed(0, packet) == [0, 1, 0]
    assert seen == [
        ("PREROUTING", "br0", "-", "p0", "-"),
        ("FORWARD", "br0", "br0", "p0", "p1"),
        ("POSTROUTING", "-", "br0", "p0", "p1"),
    ]
    seen.clear()
    switch.ns.sysctl.set("net.bridge.bridge-nf-call-iptables", 0)
    assert switch.feed(0, packet) == [0, 1, 0]
    assert seen == []


def test_a_loop_of_bridges_ends() -> None:
    from emulator.kernel.link import veth

    switch = Switch()
    other = Bridge(switch.ns, "br1")
    other.set_up()
    for number in range(2):
        a, b = veth.pair(
            switch.ns, f"a{number}", switch.ns, f"b{number}", 0x020000000A00 + number, 0x020000000B00 + number
        )
        switch.bridge.add_port(a)
        other.add_port(b)
        a.set_up()
        b.set_up()
    switch.nics[0].receive_frame(frame(ONE, TWO))
    for _ in range(2_000):
        if not switch.kernel.run(switch.kernel.now):
            break
    assert switch.kernel.next_deadline() != switch.kernel.now
    assert switch.ns.drops[DropReason.HOP_LIMIT] > 0
    assert not switch.kernel.faults


def test_a_static_entry_that_moves_stays_static_and_ages_nothing() -> None:
    switch = Switch()
    switch.bridge.fdb.add(mac_to_int(ONE).to_bytes(6, "big"), switch.ports[0])
    switch.feed(1, frame(ONE, BROADCAST))
    switch.feed(2, frame(TWO, BROADCAST))
    assert [str(entry) for entry in switch.bridge.fdb if not entry.local] == [
        f"{ONE} dev p1 master br0 static",
        f"{TWO} dev p2 master br0",
    ]
    run(switch.kernel, 2 * AGEING_TIME)
    assert switch.bridge.fdb.learned == 0
    assert [str(entry) for entry in switch.bridge.fdb if not entry.local] == [f"{ONE} dev p1 master br0 static"]


def test_the_bridge_keeps_its_mac_when_a_port_that_has_the_same_leaves() -> None:
    switch = Switch()
    switch.nics[1].mac = mac_to_int(BRIDGE_MAC)
    switch.bridge.remove_port(switch.nics[1])
    assert [entry.port for entry in switch.bridge.fdb if entry.address == mac_to_int(BRIDGE_MAC)] == [None]
    switch.feed(0, frame(ONE, BRIDGE_MAC))
    assert switch.bridge.counters.rx_packets == 1
