"""The ways that balanced packets go: from here, to here, by other links, with ICMP errors, in fragments, directly."""

from __future__ import annotations

import socket

import dpkt
import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.fib_rule import Rule
from emulator.kernel.routing.route import Route
from emulator.packet.address import ipv4_to_int
from emulator.packet.checksum import checksum
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, MASQUERADE, VIP, Balancer, service

SYN_ACK = wire.SYN | wire.ACK


def test_a_socket_here_asks_a_service_and_gets_its_answer() -> None:
    balancer = Balancer(service("rr", 1), MASQUERADE)
    made = balancer.ns.sockets.connect((VIP, 80))
    balancer.kernel.run(balancer.kernel.now)
    ((_, out),) = [(name, each[14:]) for name in "abc" for each in balancer._drain(balancer.nics[name])]
    source, sport, server, port = wire.ends(out)
    assert (source, server, port) == ("10.0.2.1", "10.0.2.2", 8080)
    sequence = dpkt.ip.IP(out).data.seq
    balancer.send("b", wire.tcp(server, 8080, source, sport, SYN_ACK, 9, sequence + 1))
    assert made.state.name == "ESTABLISHED"


def test_a_real_server_may_be_here() -> None:
    balancer = Balancer(f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r 10.0.2.1:8080 -m")
    listener = balancer.ns.sockets.listen(("0.0.0.0", 8080), 5)
    ((link, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    assert (link, wire.ends(out)) == ("a", (VIP, 80, CLIENT, 4000))
    balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.ACK, 2, dpkt.ip.IP(out).data.seq + 1))
    accepted = listener.accept()
    assert accepted is not None
    assert dpkt.ip.IP(out).ttl == 64  # nothing is passed on to a real server here


def test_both_may_be_here() -> None:
    balancer = Balancer(f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r 10.0.2.1:8080 -m")
    balancer.ns.sockets.listen(("0.0.0.0", 8080), 5)
    made = balancer.ns.sockets.connect((VIP, 80))
    balancer.kernel.run(balancer.kernel.now)
    assert made.state.name == "ESTABLISHED"
    assert balancer.server("10.0.2.1").active == 1


def test_a_packet_that_no_router_may_pass_on_is_reported() -> None:
    balancer = Balancer(service("rr", 1))
    ((link, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1, ttl=1))
    assert (link, out[20], out[21]) == ("a", 11, 0)
    balancer.nics["b"].mtu = 576
    balancer.ns.flush_routes()
    big = wire.tcp(CLIENT, 4001, VIP, 80, wire.SYN, 1, data=bytes(900), df=1)
    ((link, out),) = balancer.send("a", big)
    assert (link, out[20], out[21], int.from_bytes(out[26:28], "big")) == ("a", 3, 4, 576)


def test_loopback_addresses_do_not_leave() -> None:
    balancer = Balancer(f"{service('rr', 1)}\n-A -t {VIP}:81 -s rr\n-a -t {VIP}:81 -r 127.0.0.1:8080 -m")
    balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 81, wire.SYN, 1))
    assert balancer.ns.drops[DropReason.IPVS_LOCAL_SERVER] == 1
    balancer.run("-A -t 127.0.0.1:80 -s rr\n-a -t 127.0.0.1:80 -r 10.0.2.2:8080 -m")
    balancer.ns.sockets.connect(("127.0.0.1", 80))
    balancer.kernel.run(balancer.kernel.now)
    assert balancer.ns.drops[DropReason.IPVS_LOOPBACK_SOURCE] == 1


def test_direct_routing_leaves_the_packet_as_it_is() -> None:
    balancer = Balancer(f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r 10.0.2.2:9 -g")
    nic = balancer.nics["b"]
    packet = wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1)
    balancer.nics["a"].receive_frame(
        balancer.nics["a"].mac.to_bytes(6, "big") + b"\x02\xaa\0\0\0\2\x08\0" + packet, None
    )
    balancer.kernel.run(balancer.kernel.now)
    (frame,) = balancer._drain(nic)
    assert frame[:6].hex() == "02aa00000002"  # the real server's MAC: host 2 of that network
    assert wire.ends(frame[14:]) == (CLIENT, 4000, VIP, 80)
    assert balancer.server("10.0.2.2", 80).active == 1  # its port is the service's
    # Answers do not come by here: the client's own packets are all there is to see.
    balancer.open(4000, flags=wire.ACK)
    balancer.open(4000, flags=wire.FIN | wire.ACK)
    assert balancer.table() == [f"{CLIENT}:4000 {VIP}:80 10.0.2.2:80 4"]


def test_a_tunnel_is_listed_and_its_packets_are_dropped_by_name() -> None:
    balancer = Balancer(f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r 10.0.2.2 -i")
    assert balancer.open(4000) == ""
    assert balancer.ns.drops[DropReason.IPVS_TUNNEL] == 1


def quoted(error: bytes) -> tuple[str, str, tuple[str, int, str, int]]:
    """Addresses of an ICMP error, and of the packet that it quotes with its ports; checksums are checked."""
    parsed = dpkt.ip.IP(error)
    checked = dpkt.ip.IP(error)
    checked.sum = checked.data.sum = 0
    assert bytes(checked) == error
    inner = error[28:]
    assert checksum(inner[:20]) == 0
    source, destination = socket.inet_ntoa(inner[12:16]), socket.inet_ntoa(inner[16:20])
    ports = int.from_bytes(inner[20:22], "big"), int.from_bytes(inner[22:24], "big")
    return (
        socket.inet_ntoa(parsed.src),
        socket.inet_ntoa(parsed.dst),
        (source, ports[0], destination, ports[1]),
    )


@pytest.mark.parametrize("rules", ["", MASQUERADE])
def test_an_error_about_a_request_reaches_the_client_as_the_services(rules: str) -> None:
    balancer = Balancer(service("rr", 1), rules)
    ((_, out),) = balancer.send("a", wire.udp(CLIENT, 1, VIP, 2)) or [("", b"")]
    ((_, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    source = wire.ends(out)[0]
    ((link, error),) = balancer.send("b", wire.icmp_error("10.0.2.2", source, out[:40], 3, 3))
    assert link == "a"
    assert quoted(error) == (VIP, CLIENT, (CLIENT, 4000, VIP, 80))


def test_an_error_about_an_answer_reaches_the_real_server() -> None:
    balancer = Balancer(service("rr", 1), MASQUERADE)
    balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    ((_, back),) = balancer.send("b", wire.tcp("10.0.2.2", 8080, "10.0.2.1", 4000, SYN_ACK, 9, 2))
    ((link, error),) = balancer.send("a", wire.icmp_error("10.0.1.9", VIP, back[:40], 3, 4))
    assert link == "b"
    assert quoted(error) == ("10.0.2.1", "10.0.2.2", ("10.0.2.2", 8080, "10.0.2.1", 4000))
    assert balancer.server("10.0.2.2").statistics.totals().packets_in == 2


def test_an_error_with_a_wrong_checksum_goes_nowhere() -> None:
    balancer = Balancer(service("rr", 1))
    ((_, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    error = bytearray(wire.icmp_error("10.0.2.2", CLIENT, out[:40], 3, 3))
    error[22] ^= 1
    assert balancer.send("b", bytes(error)) == []
    assert balancer.ns.drops[DropReason.ICMP_CSUM] == 1


def test_fragments_are_put_together_before_they_are_answers() -> None:
    balancer = Balancer(f"-A -u {VIP}:53 -s rr\n-a -u {VIP}:53 -r 10.0.2.2:53 -m", conntrack=False)
    balancer.send("a", wire.udp(CLIENT, 4000, VIP, 53))
    whole = wire.udp("10.0.2.2", 53, CLIENT, 4000, bytes(range(200)) * 8)
    payload = whole[20:]
    assert balancer.send("b", fragment(whole, payload[:800], 0, more=True)) == []
    out = balancer.send("b", fragment(whole, payload[800:], 800, more=False))
    assert {link for link, _ in out} == {"a"}
    assert {socket.inet_ntoa(each[12:16]) for _, each in out} == {VIP}
    assert sum(len(each) - 20 for _, each in out) == len(payload)


def fragment(whole: bytes, payload: bytes, offset: int, *, more: bool) -> bytes:
    header = bytearray(whole[:20])
    header[2:4] = (20 + len(payload)).to_bytes(2, "big")
    header[6:8] = (more << 13 | offset >> 3).to_bytes(2, "big")
    header[10:12] = b"\0\0"
    header[10:12] = checksum(header).to_bytes(2, "big")
    return bytes(header) + payload


def test_rules_see_both_halves_of_the_way() -> None:
    rules = (
        "*filter\n"
        f"-A INPUT -d {VIP}/32 -p tcp -m tcp --dport 80\n"
        "-A OUTPUT -d 10.0.2.2/32 -o b -p tcp -m tcp --dport 8080\n"
        "-A FORWARD -i a\n"
        f"-A FORWARD -s 10.0.2.2/32 -d {CLIENT}/32\n"
        "COMMIT\n"
    )
    balancer = Balancer(service("rr", 1), rules)
    balancer.open(4000)
    balancer.send("b", wire.tcp("10.0.2.2", 8080, CLIENT, 4000, SYN_ACK, 9, 2))
    table = balancer.ns.netfilter.tables["filter"]
    counts = {name: [rule.packets for rule in chain.rules] for name, chain in table.chains.items()}
    assert counts == {"INPUT": [1], "OUTPUT": [1], "FORWARD": [0, 1]}


@pytest.mark.parametrize(("reroute", "by"), [(1, "c"), (0, "a")])
def test_answers_are_routed_as_packets_of_the_service(reroute: int, by: str) -> None:
    """A policy rule by source sends the service's answers another way than the real server's own packets."""
    balancer = Balancer(service("rr", 1))
    fib, gateway = balancer.ns.fib, ipv4_to_int("10.0.3.9")
    fib.add(Route(ipv4_to_int("10.0.1.0"), 24, link=balancer.nics["c"], gateway=gateway, table=100))
    fib.add_rule(Rule(10, 100, source=(ipv4_to_int(VIP), 32)))
    balancer.ns.sysctl.set("net.ipv4.vs.snat_reroute", reroute)
    balancer.open(4000)
    ((link, back),) = balancer.send("b", wire.tcp("10.0.2.2", 8080, CLIENT, 4000, SYN_ACK, 9, 2))
    assert (link, wire.ends(back)) == (by, (VIP, 80, CLIENT, 4000))


def test_a_real_server_is_told_of_a_connection_that_is_not_there_if_asked_for() -> None:
    balancer = Balancer(service("rr", 1))
    stray = wire.tcp("10.0.2.2", 8080, CLIENT, 4000, wire.ACK, 9, 2)
    assert balancer.send("b", stray)[0][0] == "a"
    balancer.ns.sysctl.set("net.ipv4.vs.nat_icmp_send", 1)
    ((link, out),) = balancer.send("b", stray)
    assert (link, out[20], out[21]) == ("b", 3, 3)
    assert balancer.ns.drops[DropReason.IPVS_NO_CONNECTION] == 1


def test_two_services_of_one_real_server_and_one_client_port() -> None:
    """Without conntrack nothing tells their answers apart: they are taken for the last one's, while that is there."""
    lines = f"{service('rr', 1)}\n-A -t 10.96.0.11:80 -s rr\n-a -t 10.96.0.11:80 -r 10.0.2.2:8080 -m"
    balancer = Balancer(lines, conntrack=False)
    for virtual in (VIP, "10.96.0.11"):
        assert balancer.send("a", wire.tcp(CLIENT, 4000, virtual, 80, wire.SYN, 1))
    answer = wire.tcp("10.0.2.2", 8080, CLIENT, 4000, SYN_ACK, 9, 2)
    last = max(balancer.ipvs.connections, key=lambda each: each.vaddr)
    for source in ("10.96.0.11", VIP):
        ((_, back),) = balancer.send("b", answer)
        assert wire.ends(back)[0] == source
        balancer.ipvs.expire(last)
    assert len(balancer.table()) == 1
