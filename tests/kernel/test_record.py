"""A packet's record: the rules, the connection and the end of one packet and its copies, not of answers to it."""

from __future__ import annotations

import random

from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.neigh import NudState
from emulator.kernel.netns import Netns
from emulator.kernel.record import Record
from emulator.kernel.skb import Skb
from emulator.packet.address import ipv4_to_int, mac_to_int
from tests.kernel.frames import ethernet, ipv4, udp

MAC, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02"
RULES = """*nat
-A PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination 10.0.2.9:5353
COMMIT
*filter
:FORWARD DROP
:user -
-A FORWARD -j user
-A user -p udp -m udp --dport 9 -j REJECT
-A user -p udp -m udp --dport 7
-A user -p udp -m udp --dport 5353 -j ACCEPT
-A user -p udp -m udp --dport 8 -j RETURN
COMMIT
"""


class World:
    def __init__(self) -> None:
        self.kernel = Kernel("one", random.Random(1))
        self.ns = Netns(self.kernel, "test")
        self.ns.sysctl.set("net.ipv4.ip_forward", 1)
        self.nics = [Nic(self.ns, name, mac_to_int(MAC)) for name in ("a", "b")]
        for number, nic in enumerate(self.nics, 1):
            nic.set_up()
            self.ns.add_address(nic, ipv4_to_int(f"10.0.{number}.1"), 24)
            for host in (2, 9):
                address = ipv4_to_int(f"10.0.{number}.{host}")
                self.ns.neighbours.add(nic, address, mac_to_int(PEER), NudState.PERMANENT)
        self.ns.netfilter.restore(RULES)

    def send(self, dport: int, daddr: str = "10.0.2.2") -> Record:
        return self.pass_through(ipv4("10.0.1.2", daddr, 17, udp("10.0.1.2", daddr, 4000, dport)))

    def pass_through(self, packet: bytes) -> Record:
        skb = Skb(bytearray(ethernet(MAC, PEER, packet)))
        skb.record = Record()
        self.kernel.enqueue(self.nics[0], skb)
        self.kernel.run(0.0)
        assert not self.kernel.faults
        return skb.record


def rules(record: Record) -> list[str]:
    return [f"{chain.table.name}:{chain.name}:{rule.number}" for chain, rule in record.rules]


def test_rules_that_matched_in_their_order() -> None:
    record = World().send(53)
    assert rules(record) == ["nat:PREROUTING:1", "filter:FORWARD:1", "filter:user:3"]
    assert record.state == "NEW"
    assert record.connection is not None
    assert record.connection.reply.sport == 5353
    assert record.drops == []


def test_rejected_by_a_rule_without_its_answer() -> None:
    record = World().send(9)
    assert rules(record) == ["filter:FORWARD:1", "filter:user:1"]
    assert record.drops == [DropReason.NETFILTER_REJECT]
    assert record.policy is None


def test_dropped_by_a_policy() -> None:
    for port, passed in ((7, ["filter:user:2"]), (8, ["filter:user:4"]), (6, [])):
        record = World().send(port)
        assert rules(record) == ["filter:FORWARD:1", *passed]
        assert record.drops == [DropReason.NETFILTER_DROP]
        assert record.policy is not None
        assert record.policy.name == "FORWARD"


def test_a_whole_packet_has_its_last_fragments_record() -> None:
    """The others wait, and are not met again."""
    world = World()
    datagram = udp("10.0.1.2", "10.0.2.2", 4000, 53, bytes(16))
    first = world.pass_through(ipv4("10.0.1.2", "10.0.2.2", 17, datagram[:16], fragment=0x2000))
    last = world.pass_through(ipv4("10.0.1.2", "10.0.2.2", 17, datagram[16:], fragment=2))
    assert (first.state, first.rules, first.drops) == ("", [], [])
    assert (last.state, rules(last)) == ("NEW", ["nat:PREROUTING:1", "filter:FORWARD:1", "filter:user:3"])


def test_a_packet_dropped_by_routing() -> None:
    assert World().send(6, "127.0.0.1").drops == [DropReason.IP_LOCALNET]
