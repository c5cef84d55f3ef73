"""NAT against the real kernel: Services, hairpin, port clashes, ICMP errors, local output."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.netfilter import wire
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, OTHER_CLIENT, SERVER, THIRD = "10.0.1.2", "10.0.1.3", "10.0.2.2", "10.0.3.2"
VIP = "10.96.0.10"
SERVICE = f"""*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC - [0:0]
:KUBE-SEP - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-SERVICES -d {VIP}/32 -p udp -m udp --dport 53 -j KUBE-SVC
-A KUBE-SERVICES -d {VIP}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC
-A KUBE-SVC -j KUBE-SEP
-A KUBE-SEP -s {SERVER}/32 -j KUBE-MARK-MASQ
-A KUBE-SEP -p udp -j DNAT --to-destination {SERVER}:5353
-A KUBE-SEP -p tcp -j DNAT --to-destination {SERVER}:8080
COMMIT
"""


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def nat(*rules: str) -> str:
    return "*nat\n" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def test_udp_through_a_service_and_back(bed: RouterBed) -> None:
    bed.build(SERVICE)
    out = bed.send(("a", wire.udp(CLIENT, 4000, VIP, 53)))
    assert wire.ends(out.emulated["b"][0][14:]) == (CLIENT, 4000, SERVER, 5353)
    back = bed.send(("b", wire.udp(SERVER, 5353, CLIENT, 4000)))
    assert wire.ends(back.emulated["a"][0][14:]) == (VIP, 53, CLIENT, 4000)
    bed.send(("a", wire.udp(CLIENT, 4000, VIP, 53)))
    bed.compare_counters("nat")
    bed.compare_timeouts()


def test_tcp_through_a_service(bed: RouterBed) -> None:
    bed.build(SERVICE)
    bed.send(("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 100)))
    bed.send(("b", wire.tcp(SERVER, 8080, CLIENT, 4000, wire.SYN | wire.ACK, 500, 101)))
    bed.send(("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.ACK, 101, 501)))
    bed.send(("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.ACK | wire.PSH, 101, 501, b"GET / HTTP/1.0")))
    bed.send(("b", wire.tcp(SERVER, 8080, CLIENT, 4000, wire.ACK | wire.FIN, 501, 115)))
    bed.send(("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.ACK | wire.FIN, 115, 502)))
    bed.send(("b", wire.tcp(SERVER, 8080, CLIENT, 4000, wire.ACK, 502, 116)))
    bed.compare_counters("nat")
    bed.compare_timeouts()


def test_hairpin_is_masqueraded(bed: RouterBed) -> None:
    bed.build(SERVICE)
    out = bed.send(("b", wire.udp(SERVER, 4000, VIP, 53)))
    assert wire.ends(out.emulated["b"][0][14:]) == ("10.0.2.1", 4000, SERVER, 5353)
    back = bed.send(("b", wire.udp(SERVER, 5353, "10.0.2.1", 4000)))
    assert wire.ends(back.emulated["b"][0][14:]) == (VIP, 53, SERVER, 4000)


def test_two_clients_share_a_port_towards_different_servers(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o b -j MASQUERADE", "POSTROUTING -o c -j SNAT --to-source 10.0.2.1"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("a", wire.udp(OTHER_CLIENT, 4000, "10.0.2.3", 53)))
    bed.send(("a", wire.udp(OTHER_CLIENT, 4000, THIRD, 53)))


def test_a_clash_takes_the_only_free_port_and_then_none(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o b -p udp -j SNAT --to-source 10.0.2.1:4000-4001"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)))
    bed.send(("a", wire.udp(OTHER_CLIENT, 4000, SERVER, 53)))
    full = bed.send(("a", wire.udp("10.0.1.4", 4000, SERVER, 53)))
    assert full.emulated["b"] == []


@pytest.mark.parametrize(("port", "low", "high"), [(80, 1, 511), (700, 600, 1023), (4000, 1024, 65535)])
def test_a_clash_draws_from_the_class_of_the_port(bed: RouterBed, port: int, low: int, high: int) -> None:
    bed.build(nat("POSTROUTING -o b -j MASQUERADE"))
    bed.send(("a", wire.udp(CLIENT, port, SERVER, 53)))
    out = bed.exchange([("a", _frame(wire.udp(OTHER_CLIENT, port, SERVER, 53)))])
    for side in (out.real, out.emulated):
        drawn = wire.ends(side["b"][0][14:])[1]
        assert low <= drawn <= high
        assert drawn != port


def _frame(packet: bytes) -> bytes:
    return bytes.fromhex("020000000001") + bytes.fromhex("02aa00000002") + b"\x08\0" + packet


def test_a_null_binding_moves_out_of_the_way(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -s 10.0.1.2/32 -p udp -j SNAT --to-source 10.0.1.3:4000"))
    bed.send(("a", wire.udp(CLIENT, 999, SERVER, 53)))
    out = bed.exchange([("a", _frame(wire.udp(OTHER_CLIENT, 4000, SERVER, 53)))])
    for side in (out.real, out.emulated):
        assert wire.ends(side["b"][0][14:])[1] != 4000


def test_a_client_keeps_its_mapped_port_towards_others(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o b -p udp -j SNAT --to-source 10.0.2.1:5000"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("a", wire.udp(CLIENT, 4000, "10.0.2.3", 53)))


@pytest.mark.parametrize("flag", ["", " --persistent"])
def test_addresses_of_a_range_are_chosen_alike(bed: RouterBed, flag: str) -> None:
    bed.build(nat(f"POSTROUTING -o b -j SNAT --to-source 10.0.9.1-10.0.9.200{flag}"))
    bed.send(
        *[("a", wire.udp(f"10.0.1.{host}", 4000, f"10.0.2.{server}", 53)) for host in (2, 3, 4) for server in (2, 3, 4)]
    )


def test_dnat_to_a_range_of_addresses_and_ports(bed: RouterBed) -> None:
    bed.build(nat("PREROUTING -i a -p udp -j DNAT --to-destination 10.0.2.2-10.0.2.9:6000-6003"))
    bed.send(*[("a", wire.udp(f"10.0.1.{host}", 4000, VIP, 53)) for host in range(2, 8)])
    bed.send(*[("a", wire.udp(CLIENT, port, VIP, 53)) for port in range(4001, 4006)])


def test_redirect(bed: RouterBed) -> None:
    bed.build(nat("PREROUTING -i a -p udp -j REDIRECT --to-ports 99"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)))


def test_ping_identifiers_clash(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o b -p icmp -j MASQUERADE"))
    bed.send(("a", wire.echo(CLIENT, SERVER, 77)))
    out = bed.exchange([("a", _frame(wire.echo(OTHER_CLIENT, SERVER, 77)))])
    for side in (out.real, out.emulated):
        assert wire.ends(side["b"][0][14:])[1] != 77
    bed.compare([("b", _to_b(wire.echo(SERVER, "10.0.2.1", 77, reply=True)))])


def _to_b(packet: bytes) -> bytes:
    return bytes.fromhex("020000000002") + bytes.fromhex("02aa00000002") + b"\x08\0" + packet


def test_an_icmp_error_from_the_endpoint_is_untranslated(bed: RouterBed) -> None:
    bed.build(SERVICE)
    out = bed.send(("a", wire.udp(CLIENT, 4000, VIP, 53)))
    quoted = out.emulated["b"][0][14:]
    back = bed.send(("b", wire.icmp_error(SERVER, CLIENT, quoted)))
    assert wire.ends(back.emulated["a"][0][14:])[:3] == (VIP, 0, CLIENT)
    bed.send(("b", wire.icmp_error("10.0.2.5", CLIENT, quoted, 11, 0)))
    bed.send(("b", wire.icmp_error(SERVER, CLIENT, quoted[:28])))
    bed.send(("b", wire.icmp_error(SERVER, CLIENT, quoted[:24])))


def test_an_icmp_error_about_a_tcp_segment_of_which_eight_bytes_are_quoted(bed: RouterBed) -> None:
    bed.build(SERVICE)
    out = bed.send(("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 100)))
    quoted = out.emulated["b"][0][14:]
    bed.send(("b", wire.icmp_error(SERVER, CLIENT, quoted[:28])))
    bed.send(("b", wire.icmp_error(SERVER, CLIENT, quoted)))


def test_an_icmp_error_about_a_masqueraded_packet(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o b -j MASQUERADE"))
    out = bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)))
    bed.send(("b", wire.icmp_error("10.0.2.7", "10.0.2.1", out.emulated["b"][0][14:], 3, 1)))
    pinged = bed.send(("a", wire.echo(CLIENT, SERVER, 5)))
    bed.send(("b", wire.icmp_error("10.0.2.7", "10.0.2.1", pinged.emulated["b"][0][14:], 3, 1)))


def test_an_icmp_error_about_a_reply(bed: RouterBed) -> None:
    bed.build(SERVICE)
    bed.send(("a", wire.udp(CLIENT, 4000, VIP, 53)))
    back = bed.send(("b", wire.udp(SERVER, 5353, CLIENT, 4000)))
    bed.send(("a", wire.icmp_error(CLIENT, VIP, back.emulated["a"][0][14:])))


def test_errors_of_our_own_about_translated_packets(bed: RouterBed) -> None:
    bed.build(SERVICE)
    bed.send(("a", wire.udp(CLIENT, 4000, VIP, 53, ttl=1)))
    bed.send(("a", wire.udp(CLIENT, 4001, VIP, 53)))
    bed.send(("b", wire.udp(SERVER, 5353, CLIENT, 4001, ttl=1)))
    bed.send(("a", wire.udp(CLIENT, 4001, VIP, 53, ttl=1)))


def test_an_error_about_an_unknown_flow_is_not_translated(bed: RouterBed) -> None:
    bed.build(SERVICE)
    bed.send(("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 4000, SERVER, 5353))))


def test_redirects_about_translated_connections_are_dropped(bed: RouterBed) -> None:
    bed.build(SERVICE)
    out = bed.send(("a", wire.udp(CLIENT, 4000, VIP, 53)))
    bed.send(("b", wire.icmp_error(SERVER, CLIENT, out.emulated["b"][0][14:], 5, 1)))


def test_udp_without_a_checksum_stays_without(bed: RouterBed) -> None:
    bed.build(SERVICE)
    packet = bytearray(wire.udp(CLIENT, 4000, VIP, 53))
    packet[26:28] = b"\0\0"
    bed.send(("a", bytes(packet)))


def test_masquerade_entries_go_with_the_address(bed: RouterBed) -> None:
    bed.build(nat("POSTROUTING -o b -j MASQUERADE"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("a", wire.udp(CLIENT, 4000, THIRD, 53)))
    bed.ip("addr del 10.0.2.1/24 dev b")
    bed.ns.remove_address(bed.ns.links["b"], 0x0A000201, 24)
    bed.compare_entries()
    assert len(bed.emulated_entries()) == 1


def test_protocols_without_ports(bed: RouterBed) -> None:
    bed.build(nat("PREROUTING -d 10.96.0.10/32 -j DNAT --to-destination 10.0.2.2", "POSTROUTING -o b -j MASQUERADE"))
    bed.send(("a", wire.ip(CLIENT, VIP, 200, b"what is this")))
    bed.send(("b", wire.ip(SERVER, "10.0.2.1", 200, b"an answer")))
    bed.send(("a", wire.ip(OTHER_CLIENT, VIP, 200, b"a clash")))
