"""802.1Q links: tags are taken off on the way in and put on on the way out; others' frames stay the parent's."""

from __future__ import annotations

import random

from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.link.vlan import Vlan
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int, mac_to_int
from tests.kernel.frames import arp, echo, ethernet, ipv4

MAC, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02"
PING = ipv4("10.5.0.2", "10.5.0.1", 1, echo())


def tagged(frame: bytes, tag: int, tpid: int = 0x8100) -> bytes:
    return frame[:12] + tpid.to_bytes(2, "big") + tag.to_bytes(2, "big") + frame[12:]


class World:
    def __init__(self) -> None:
        self.kernel = Kernel("one", random.Random(1))
        self.ns = Netns(self.kernel, "test")
        self.parent = Nic(self.ns, "eth0", mac_to_int(MAC))
        self.vlan = Vlan(self.ns, "eth0.5", self.parent, 5)
        self.parent.set_up()
        self.vlan.set_up()
        self.ns.add_address(self.vlan, ipv4_to_int("10.5.0.1"), 24)

    def send(self, frame: bytes) -> list[bytes]:
        self.parent.receive_frame(frame)
        self.kernel.run(0.0)
        assert not self.kernel.faults
        sent = [frame for frame, _, _ in self.parent.transmit_queue]
        self.parent.transmit_queue.clear()
        return sent


def test_a_tagged_ping_is_answered_with_the_tag() -> None:
    world = World()
    question = ethernet("ff:ff:ff:ff:ff:ff", PEER, arp(1, PEER, "10.5.0.2", "00:00:00:00:00:00", "10.5.0.1"), 0x0806)
    (answer,) = world.send(tagged(question, 5))
    assert answer[12:16] == b"\x81\x00\x00\x05"
    assert answer[16:18] == b"\x08\x06"
    (pong,) = world.send(tagged(ethernet(MAC, PEER, PING), 5 | 3 << 13))  # the priority does not matter
    assert pong[:16] == bytes.fromhex("020000000002020000000001") + b"\x81\x00\x00\x05"
    assert world.vlan.counters.rx_packets == 2
    assert world.vlan.counters.tx_packets == 2


def test_other_tags_and_no_tag_are_not_the_vlans() -> None:
    world = World()
    for frame in (tagged(ethernet(MAC, PEER, PING), 6), tagged(ethernet(MAC, PEER, PING), 5, 0x88A8)):
        assert world.send(frame) == []
    assert world.ns.drops[DropReason.UNHANDLED_PROTO] == 2
    assert world.vlan.counters.rx_packets == 0
    world.send(tagged(ethernet(MAC, PEER, PING), 5)[:17])
    assert world.vlan.counters.rx_packets == 0  # too short to have an ethertype behind its tag
    assert world.vlan.counters.rx_dropped == 1


def test_a_vlan_goes_with_its_parent() -> None:
    world = World()
    assert world.vlan.carrier
    world.parent.set_up(False)
    assert not world.vlan.carrier
    world.ns.remove_link(world.parent)
    assert list(world.ns.links) == ["lo"]


def test_a_removed_vlan_gets_no_more_frames() -> None:
    world = World()
    world.ns.remove_link(world.vlan)
    assert world.send(tagged(ethernet(MAC, PEER, PING), 5)) == []
    assert world.ns.drops[DropReason.UNHANDLED_PROTO] == 1
