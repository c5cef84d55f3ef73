"""NAT against the real kernel: packets of the machine itself, ports shifted and reused, links that go, long ranges."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from emulator.kernel.routing.fib_rule import Rule
from emulator.packet.address import ipv4_to_int
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, OTHER, SERVER, VIP = "10.0.1.2", "10.0.1.3", "10.0.2.2", "10.96.0.10"


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def nat(*rules: str) -> str:
    return "*nat\n" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def send_locally(bed: RouterBed, destination: str, port: int, sport: int, source: str = "") -> None:
    """Have both machines send a UDP datagram from a socket of their own; what leaves, and the entries, must agree."""
    script = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        f"s.bind(({source!r}, {sport})); s.sendto(b'data', ({destination!r}, {port}))"
    )
    with contextlib.suppress(AssertionError):  # EPERM, where a rule or NAT drops it
        bed.execute("python3", "-c", script)
    sock = bed.ns.sockets.udp()
    with contextlib.suppress(OSError):
        sock.bind((source or "0.0.0.0", sport))
        sock.send_to(b"data", (destination, port))
    bed.compare([])
    bed.compare_entries()
    sock.close()


def test_local_packets_are_translated_and_routed_anew(bed: RouterBed) -> None:
    bed.build(
        nat(
            f"OUTPUT -d {VIP} -p udp -m udp --dport 53 -j DNAT --to-destination {SERVER}:5353",
            f"OUTPUT -d {VIP} -p udp -m udp --dport 54 -j DNAT --to-destination 10.0.3.2",
            f"OUTPUT -d {VIP} -p udp -m udp --dport 55 -j REDIRECT --to-ports 7",
            "POSTROUTING -o b -p udp -m udp --dport 5353 -j MASQUERADE",
        )
    )
    bed.add_route("10.96.0.0/16", via=CLIENT)
    send_locally(bed, VIP, 53, 4001)  # its source is chosen by the way to the VIP, and masqueraded on the other way
    send_locally(bed, VIP, 54, 4002)  # and kept here
    send_locally(bed, VIP, 56, 4003)
    send_locally(bed, VIP, 54, 4004, source="10.0.2.1")
    bed.send(("b", wire.udp(SERVER, 5353, "10.0.2.1", 4001)))
    bed.compare_counters("nat")


def test_a_port_range_with_a_base_shifts_ports(bed: RouterBed) -> None:
    bed.build(
        nat(
            f"PREROUTING -d {VIP} -p tcp -m tcp --dport 80:90 -j DNAT --to-destination {SERVER}:8000-8010/80",
            f"PREROUTING -d {VIP} -p tcp -m tcp --dport 100:120 -j DNAT --to-destination {SERVER}:9000-9004",
        )
    )
    for port in (80, 85, 90, 100, 120):
        bed.send(("a", wire.tcp(CLIENT, 5, VIP, port, SYN, 1)))
        bed.send(("a", wire.tcp(OTHER, 5, VIP, port, SYN, 1)))


def test_a_closed_connection_gives_its_port_to_a_new_one_that_is_ahead_of_it(bed: RouterBed) -> None:
    """`nf_nat_used_tuple_harder`: all ports are taken, one by a connection in TIME_WAIT."""
    bed.build(nat("POSTROUTING -o b -p tcp -j SNAT --to-source 10.0.2.1:7000-7001"))
    bed.send(("a", wire.tcp(CLIENT, 7000, SERVER, 80, SYN, 1000)))
    bed.send(("a", wire.tcp(CLIENT, 7001, SERVER, 80, SYN, 1000)))
    bed.send(("b", wire.tcp(SERVER, 80, "10.0.2.1", 7000, SYN | ACK, 5000, 1001)))
    bed.send(("a", wire.tcp(CLIENT, 7000, SERVER, 80, ACK, 1001, 5001)))
    bed.send(("a", wire.tcp(CLIENT, 7000, SERVER, 80, FIN | ACK, 1001, 5001)))
    bed.send(("b", wire.tcp(SERVER, 80, "10.0.2.1", 7000, FIN | ACK, 5001, 1002)))
    bed.send(("a", wire.tcp(CLIENT, 7000, SERVER, 80, ACK, 1002, 5002)))
    assert "TIME_WAIT" in "".join(bed.emulated_entries())
    bed.send(("a", wire.tcp(OTHER, 4000, SERVER, 80, SYN, 900)))  # behind it: no port
    observed = bed.send(("a", wire.tcp(OTHER, 4000, SERVER, 80, SYN, 900_000)))
    assert len(observed.real["b"]) == 1
    assert "TIME_WAIT" not in "".join(bed.emulated_entries())


def test_masqueraded_connections_end_with_their_link(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o c -j MASQUERADE", "POSTROUTING -o b -j SNAT --to-source 10.0.2.1"))
    bed.send(("a", wire.udp(CLIENT, 5, "10.0.3.2", 53)), ("a", wire.udp(CLIENT, 5, SERVER, 53)))
    bed.ip("link set dev c down")
    bed.ns.links["c"].set_up(False)
    bed.advance(0.2)
    bed.compare_entries()
    assert [each.reply.daddr for each in bed.connections()] == [ipv4_to_int("10.0.2.1")]


def test_errors_through_both_translations(bed: RouterBed) -> None:
    """A hairpin: destination and source are translated, and an error comes back from either end."""
    bed.build(
        nat(
            f"PREROUTING -d {VIP} -p udp -j DNAT --to-destination {SERVER}:5353",
            f"PREROUTING -d {VIP} -p icmp -j DNAT --to-destination {SERVER}",
            "POSTROUTING -o b -p udp -j SNAT --to-source 10.0.2.1",
            "POSTROUTING -o b -p icmp -j SNAT --to-source 10.0.2.1",
        )
    )
    forth = wire.udp(CLIENT, 4000, VIP, 53)
    out = bed.send(("a", forth)).real["b"][0][14:]
    back = bed.send(("b", wire.udp(SERVER, 5353, "10.0.2.1", 4000))).real["a"][0][14:]
    for size in (27, 28, 30, len(out)):
        for kind, code in ((3, 3), (3, 4), (11, 0), (4, 0), (12, 0), (5, 1)):
            bed.send(("b", wire.icmp_error(SERVER, "10.0.2.1", out[:size], kind, code)))
            bed.send(("b", wire.icmp_error("10.0.2.9", "10.0.2.1", out[:size], kind, code)))
            bed.send(("a", wire.icmp_error(CLIENT, VIP, back[:size], kind, code)))
    zero = bytearray(wire.udp(CLIENT, 4001, VIP, 53))
    zero[26:28] = b"\0\0"
    quoted = bed.send(("a", bytes(zero))).real["b"][0][14:]
    bed.send(("b", wire.icmp_error(SERVER, "10.0.2.1", quoted)))
    ping = bed.send(("a", wire.echo(CLIENT, VIP, 9))).real["b"][0][14:]
    for size in (27, 28, len(ping)):
        bed.send(("b", wire.icmp_error(SERVER, "10.0.2.1", ping[:size])))


@pytest.mark.parametrize("flag", ["", " --persistent"])
def test_source_addresses_of_a_range_by_client_and_server(bed: RouterBed, flag: str) -> None:
    bed.build(nat(f"POSTROUTING -o b -p udp -j SNAT --to-source 10.0.2.10-10.0.2.37{flag}"))
    for client in range(2, 9):
        for server in range(2, 9):
            bed.send(("a", wire.udp(f"10.0.1.{client}", 4000 + client, f"10.0.2.{server}", 53)))


def test_a_conversation_through_nat_in_full(bed: RouterBed) -> None:
    bed.build(
        nat(
            f"PREROUTING -d {VIP} -p tcp -m tcp --dport 80 -j DNAT --to-destination {SERVER}:8080",
            "POSTROUTING -o b -j MASQUERADE",
        )
    )
    forth, back = (CLIENT, 4000, VIP, 80), (SERVER, 8080, "10.0.2.1", 4000)
    options = bytes.fromhex("020405b40402080a000000010000000001030307")
    bed.send(("a", wire.tcp(*forth, SYN, 1000, options=options)))
    bed.send(("b", wire.tcp(*back, SYN | ACK, 5000, 1001, options=options)))
    bed.send(
        ("a", wire.tcp(*forth, ACK, 1001, 5001)), ("a", wire.tcp(*forth, ACK | PSH, 1001, 5001, b"GET / HTTP/1.0"))
    )
    bed.send(("b", wire.tcp(*back, ACK | PSH, 5001, 1015, b"200 OK")), ("b", wire.tcp(*back, FIN | ACK, 5007, 1015)))
    bed.send(("a", wire.tcp(*forth, FIN | ACK, 1015, 5008)), ("b", wire.tcp(*back, ACK, 5008, 1016)))
    bed.send(("a", wire.tcp(*forth, SYN, 90_000)), ("b", wire.tcp(*back, RST | ACK, 0, 90_001)))
    bed.compare_counters("nat")


@pytest.mark.parametrize("table", ["raw", "mangle", "nat", "filter", "security"])
def test_a_mark_that_mangle_sets_routes_a_local_packet_anew_and_no_other_table_s_does(
    bed: RouterBed, table: str
) -> None:
    bed.build(f"*{table}\n-A OUTPUT -p udp -m udp --dport 53 -j MARK --set-mark 5\nCOMMIT\n")
    bed.add_route("198.51.100.0/24", via=CLIENT)
    bed.add_route("198.51.100.0/24", via=SERVER, table=77)
    bed.ip("rule add priority 100 fwmark 5 lookup 77")
    bed.ns.fib.add_rule(Rule(100, 77, mark=5, mask=0xFFFFFFFF))
    send_locally(bed, "198.51.100.7", 53, 4001)
    send_locally(bed, "198.51.100.7", 54, 4002)


def test_a_range_that_ends_before_it_starts(bed: RouterBed) -> None:
    """The tool takes it, and the kernel counts on from its start, over the highest address."""
    bed.build(nat("POSTROUTING -o b -j SNAT --to-source 10.0.2.200-10.0.2.100"))
    for number in range(2, 8):
        bed.send(("a", wire.udp(f"10.0.1.{number}", 1000 + number, SERVER, 53)))
    bed.compare_entries()
