"""Points 7, 8 and 13 to 16 of the behaviours that re-implementations miss; the others have tests beside their like.

1 to 6 and 9 are in test_netfilter_conntrack.py, 10 in test_netfilter_filter.py, 11 and 12 in core/.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, SYN
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, OTHER, SERVER, VIP = "10.0.1.2", "10.0.1.3", "10.0.2.2", "10.96.0.10"


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def table(name: str, *rules: str) -> str:
    return f"*{name}\n" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def load(bed: RouterBed, text: str) -> None:
    """Replace one table on both sides, as a user would while traffic flows."""
    bed.restore(text)


def test_point_7_nat_rules_see_the_first_packet_of_a_connection_alone(bed: RouterBed) -> None:
    bed.build(table("nat", f"PREROUTING -d {VIP} -j DNAT --to-destination {SERVER}", "PREROUTING -i a"))
    forth, back = wire.udp(CLIENT, 5, VIP, 53), wire.udp(SERVER, 53, CLIENT, 5)
    bed.send(("a", forth), ("b", back), ("a", forth), ("a", forth))
    bed.compare_counters("nat")
    assert "[1:32]" in bed.ns.netfilter.save("nat", counters=True)


def test_point_7_that_no_rule_matched_is_remembered_too(bed: RouterBed) -> None:
    bed.build(table("nat", "PREROUTING -p tcp") + table("filter", "FORWARD -m conntrack --ctstate NEW"))
    packet = wire.udp(CLIENT, 5, "10.0.3.2", 53)
    bed.send(("a", packet))
    load(bed, table("nat", f"PREROUTING -d 10.0.3.2/32 -j DNAT --to-destination {SERVER}"))
    bed.send(("a", packet))  # a null binding holds: the new rule does not see it
    bed.send(("a", wire.udp(CLIENT, 6, "10.0.3.2", 53)))
    bed.compare_counters("nat")
    assert [each.reply.sport for each in bed.connections()] == [53, 53]


def test_point_7_a_dropped_first_packet_leaves_no_entry_and_the_next_is_asked_again(bed: RouterBed) -> None:
    bed.build(
        table("nat", f"PREROUTING -d {VIP} -j DNAT --to-destination {SERVER}")
        + table("filter", "FORWARD -m conntrack --ctstate NEW -j DROP")
    )
    packet = wire.udp(CLIENT, 5, VIP, 53)
    bed.send(("a", packet), ("a", packet))
    bed.compare_counters("nat")
    bed.compare_counters("filter")
    assert bed.connections() == []


ENABLERS = {
    "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp\nCOMMIT\n": 0,
    "*raw\n-A PREROUTING -p udp -j NOTRACK\nCOMMIT\n": 0,
    "*raw\n-A PREROUTING -p udp -j CT --zone 4\nCOMMIT\n": 1,
    "*nat\n-A PREROUTING -p tcp -j REDIRECT\nCOMMIT\n": 1,
    "*mangle\n-A PREROUTING -m connmark --mark 4\nCOMMIT\n": 1,
    "*filter\n-A FORWARD -p tcp -j REJECT\nCOMMIT\n": 0,
}


@pytest.mark.parametrize(("rules", "count"), list(ENABLERS.items()))
def test_connections_are_tracked_as_long_as_a_rule_needs_them(bed: RouterBed, rules: str, count: int) -> None:
    bed.build(rules)
    bed.send(("a", wire.udp(CLIENT, 5, SERVER, 53)))
    assert len(bed.connections()) == count
    load(bed, "".join(line for line in rules.splitlines(keepends=True) if not line.startswith("-A")))
    bed.send(("a", wire.udp(CLIENT, 6, SERVER, 53)))
    assert len(bed.connections()) == count


def test_point_8_two_clients_share_a_port_towards_different_destinations(bed: RouterBed) -> None:
    bed.build(table("nat", "POSTROUTING -o b -j SNAT --to-source 10.0.2.1"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("a", wire.udp(OTHER, 4000, "10.0.2.3", 53)))
    assert [each.reply.dport for each in bed.connections()] == [4000, 4000]


@pytest.mark.parametrize(("port", "low", "high"), [(300, 1, 511), (700, 600, 1023), (4000, 1024, 65535)])
def test_point_8_a_clash_draws_from_the_class_of_the_port(bed: RouterBed, port: int, low: int, high: int) -> None:
    bed.build(table("nat", "POSTROUTING -o b -j SNAT --to-source 10.0.2.1"))
    bed.send(("a", wire.udp(CLIENT, port, SERVER, 53)))
    _send_apart(bed, ("a", wire.udp(OTHER, port, SERVER, 53)))
    for drawn in (_real_ports(bed), [each.reply.dport for each in bed.connections()]):
        assert port in drawn
        assert len(set(drawn)) == 2
        assert all(low <= each <= high for each in drawn)


def test_point_8_random_fully_always_draws(bed: RouterBed) -> None:
    bed.build(table("nat", "POSTROUTING -o b -j SNAT --to-source 10.0.2.1 --random-fully"))
    for number in range(8):
        _send_apart(bed, ("a", wire.udp(CLIENT, 4000, f"10.0.2.{2 + number}", 53)))
    for drawn in (_real_ports(bed), [each.reply.dport for each in bed.connections()]):
        assert len(drawn) == 8
        assert drawn.count(4000) <= 1
        assert len(set(drawn)) >= 7


def _send_apart(bed: RouterBed, packet: tuple[str, bytes]) -> None:
    """Send where a port is drawn, so that the sides cannot agree."""
    from tests.kernel_oracle.harness import ethernet
    from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS

    observed = bed.exchange([(packet[0], ethernet(MACS[packet[0]], HOST_MAC, packet[1]))])
    assert [len(frames) for frames in observed.real.values()] == [len(each) for each in observed.emulated.values()]


def _real_ports(bed: RouterBed) -> list[int]:
    return [int(line.rpartition("dport=")[2].split()[0]) for line in bed.real_entries()]


def test_point_13_an_invalid_packet_is_only_said_to_be_so(bed: RouterBed) -> None:
    bed.build(table("filter", "FORWARD -m conntrack --ctstate INVALID"))
    invalid = [wire.tcp(CLIENT, 5, SERVER, 80, SYN | wire.FIN), wire.tcp(CLIENT, 5, SERVER, 80, SYN | ACK, 5, 5)]
    bed.send(*[("a", packet) for packet in invalid])
    bed.compare_counters("filter")
    assert "[2:80]" in bed.ns.netfilter.save("filter", counters=True)
    load(bed, table("filter", "FORWARD -m conntrack --ctstate INVALID -j DROP"))
    observed = bed.send(*[("a", packet) for packet in invalid])
    assert observed.real["b"] == []


def test_point_14_reject_resets_only_when_asked_and_its_errors_are_limited(bed: RouterBed) -> None:
    bed.build(
        table("filter", "FORWARD -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset", "FORWARD -j REJECT"),
        sysctls={"net.ipv4.icmp_ratelimit": 1000},
    )
    observed = bed.send(*[("a", wire.tcp(CLIENT, 5 + n, SERVER, 80 + n % 2, SYN, 7)) for n in range(20)])
    kinds = [frame[23] for frame in observed.real["a"]]
    assert kinds.count(6) == 10  # a reset for each that asks for one
    assert 0 < kinds.count(1) < 10


def test_point_15_the_local_table_wins_first(bed: RouterBed) -> None:
    """A VIP that a link has, as IPVS has it, is delivered here although a route leads it on."""
    bed.build(table("filter", f"INPUT -d {VIP}", f"FORWARD -d {VIP}"))
    bed.add_route("10.96.0.0/16", via=SERVER)
    bed.send(("a", wire.udp(CLIENT, 5, VIP, 53)))
    bed.add_address("c", f"{VIP}/32")
    bed.send(("a", wire.udp(CLIENT, 6, VIP, 53)))
    bed.compare_counters("filter")
    lines = bed.ns.netfilter.save("filter", counters=True)
    assert f"[1:32] -A INPUT -d {VIP}/32" in lines
    assert f"[1:32] -A FORWARD -d {VIP}/32" in lines


def test_point_16_input_routing_checks_come_after_prerouting(bed: RouterBed) -> None:
    bed.build(
        table("mangle", "PREROUTING -s 10.0.2.9/32", "PREROUTING -d 127.0.0.5/32", "PREROUTING -s 127.0.0.9/32")
        + table("nat", f"PREROUTING -d 127.0.0.5/32 -p udp -m udp --dport 53 -j DNAT --to-destination {SERVER}")
    )
    bed.set_sysctl("net.ipv4.conf.all.rp_filter", 1)
    bed.send(("a", wire.udp("10.0.2.9", 5, "10.0.3.2", 53)))  # rp_filter: its way back is through b
    bed.send(("a", wire.udp("127.0.0.9", 5, SERVER, 53)))  # a martian source
    bed.send(("a", wire.udp(CLIENT, 5, "127.0.0.5", 54)))  # route_localnet is off
    observed = bed.send(("a", wire.udp(CLIENT, 5, "127.0.0.5", 53)))  # but not that any more when it is looked at
    bed.compare_counters("mangle")
    assert len(observed.real["b"]) == 1
    lines = bed.ns.netfilter.save("mangle", counters=True)
    assert "[1:32] -A PREROUTING -s 10.0.2.9/32" in lines
    assert "[2:64] -A PREROUTING -d 127.0.0.5/32" in lines
