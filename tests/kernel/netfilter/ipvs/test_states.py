"""TCP, UDP and SCTP as IPVS counts them: conversations with states, timeouts, and active and inactive connections."""

from __future__ import annotations

import pytest

from emulator.kernel.netfilter.ipvs import sctp, tcp
from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
from emulator.kernel.netfilter.ipvs.protocol import Direction
from emulator.kernel.netfilter.ipvs.sctp import IpvsSctp, SctpState
from emulator.kernel.netfilter.ipvs.service import (
    Destination,
    Forwarding,
    ServerOptions,
    Service,
    ServiceKey,
    ServiceOptions,
)
from emulator.kernel.netfilter.ipvs.tcp import IpvsTcp, TcpState
from emulator.kernel.netfilter.ipvs.udp import IpvsUdp
from emulator.kernel.skb import Skb
from emulator.packet.sctp import ChunkType
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, VIP, Balancer, service

FLAGS = {"S": wire.SYN, "A": wire.ACK, "F": wire.FIN | wire.ACK, "R": wire.RST, "B": wire.SYN | wire.ACK, "N": wire.PSH}


def skb_of(packet: bytes) -> Skb:
    skb = Skb(bytearray(14) + bytearray(packet))
    skb.transport = 34
    return skb


def connection() -> IpvsConnection:
    made = IpvsConnection(6, 1, 2, 3, 4, 5, 6)
    destination = Destination(Service(ServiceKey(6, 3, 4), ServiceOptions(), 0.0), 5, 6, 0.0)
    destination.update(ServerOptions(forwarding=Forwarding.MASQUERADE), added=True)
    made.bind(destination)
    return made


@pytest.mark.parametrize(
    ("conversation", "states"),
    [
        # > from the client, < from the real server; an answered handshake, and who closes first
        (">S <B >A", "SYN_RECV SYN_RECV ESTABLISHED"),
        (">S <B >A >F <F >A", "SYN_RECV SYN_RECV ESTABLISHED CLOSE_WAIT TIME_WAIT TIME_WAIT"),
        (">S <B >A <F >F <A", "SYN_RECV SYN_RECV ESTABLISHED FIN_WAIT TIME_WAIT TIME_WAIT"),
        (">S <R", "SYN_RECV CLOSE"),
        (">S >R", "SYN_RECV SYN_RECV"),  # a RST against a SYN_RECV does not end it from the client's side
        (">S <B >A >R", "SYN_RECV SYN_RECV ESTABLISHED CLOSE"),
        (">S <B >A <R >S", "SYN_RECV SYN_RECV ESTABLISHED CLOSE SYN_RECV"),
        (">A", "ESTABLISHED"),  # net.ipv4.vs.sloppy_tcp takes it
        (">S <B >A >N", "SYN_RECV SYN_RECV ESTABLISHED CLOSE"),  # no flag that counts
    ],
)
def test_tcp_conversations(conversation: str, states: str) -> None:
    protocol, made, seen = IpvsTcp(lambda: False), connection(), []
    for direction, kind in conversation.split():
        way = Direction.INPUT if direction == ">" else Direction.OUTPUT
        protocol.advance(made, way, skb_of(wire.tcp(CLIENT, 1, VIP, 2, FLAGS[kind])))
        seen.append(TcpState(made.state).name)
        assert made.timeout == tcp.TIMEOUTS[made.state]
        destination = made.destination
        assert destination is not None
        active = made.state in (TcpState.ESTABLISHED, TcpState.SYN_RECV, TcpState.SYN_SENT, TcpState.SYNACK)
        assert (destination.active, destination.inactive) == (int(active), int(not active))
    assert " ".join(seen) == states


def test_tcp_whose_answers_pass_elsewhere() -> None:
    protocol, made = IpvsTcp(lambda: False), connection()
    made.no_output = True
    for kind, state in (("S", "SYN_RECV"), ("A", "ESTABLISHED"), ("F", "FIN_WAIT"), ("A", "FIN_WAIT")):
        protocol.advance(made, Direction.INPUT, skb_of(wire.tcp(CLIENT, 1, VIP, 2, FLAGS[kind])))
        assert TcpState(made.state).name == state
    assert protocol.is_over(made, 3)
    assert not protocol.is_over(made, 1)


def test_secure_tcp_waits_for_the_real_server() -> None:
    protocol, made = IpvsTcp(lambda: True), connection()
    seen = []
    for direction, kind in ((0, "S"), (0, "A"), (1, "B"), (0, "A"), (1, "A")):
        protocol.advance(made, Direction(direction), skb_of(wire.tcp(CLIENT, 1, VIP, 2, FLAGS[kind])))
        seen.append(TcpState(made.state).name)
    assert seen == ["SYN_RECV", "SYN_RECV", "SYNACK", "SYNACK", "ESTABLISHED"]


def test_udp_is_always_inactive() -> None:
    protocol, made = IpvsUdp(), connection()
    protocol.advance(made, Direction.INPUT, skb_of(wire.udp(CLIENT, 1, VIP, 2)))
    destination = made.destination
    assert destination is not None
    assert (made.timeout, destination.active, destination.inactive) == (300.0, 0, 1)


@pytest.mark.parametrize(
    ("conversation", "states"),
    [
        (
            ">INIT <INIT_ACK >COOKIE_ECHO <COOKIE_ACK >DATA <SACK >SHUTDOWN <SHUTDOWN_ACK >SHUTDOWN_COMPLETE",
            "INIT1 COOKIE_SENT COOKIE_REPLIED ESTABLISHED ESTABLISHED ESTABLISHED SHUTDOWN_RECEIVED "
            "SHUTDOWN_ACK_SENT CLOSED",
        ),
        (">INIT >INIT <ABORT", "INIT1 INIT CLOSED"),
        (">INIT <ABORT >INIT", "INIT1 REJECTED INIT"),
        ("<INIT >INIT_ACK <COOKIE_ECHO >COOKIE_ACK", "COOKIE_WAIT COOKIE COOKIE_ECHOED ESTABLISHED"),
    ],
)
def test_sctp_conversations(conversation: str, states: str) -> None:
    protocol, made, seen = IpvsSctp(), connection(), []
    for word in conversation.split():
        way = Direction.INPUT if word[0] == ">" else Direction.OUTPUT
        packet = wire.sctp(CLIENT, 1, VIP, 2, 5, wire.chunk(ChunkType[word[1:]]))
        protocol.advance(made, way, skb_of(packet))
        seen.append(SctpState(made.state).name)
        assert made.timeout == sctp.TIMEOUTS[made.state]
    assert " ".join(seen) == states


def test_an_abort_behind_a_cookie_counts() -> None:
    protocol, made = IpvsSctp(), connection()
    packet = wire.sctp(CLIENT, 1, VIP, 2, 5, wire.chunk(ChunkType.COOKIE_ECHO, value=b"12345"), wire.chunk(6))
    protocol.advance(made, Direction.INPUT, skb_of(packet))
    assert made.state == SctpState.CLOSED


@pytest.mark.parametrize("table", [tcp.TRANSITIONS, tcp.SECURE_TRANSITIONS])
def test_the_tables_of_tcp_are_whole(table: tuple[tuple[tuple[TcpState, ...], ...], ...]) -> None:
    assert [len(rows) for rows in table] == [4, 4, 4]
    assert {len(row) for rows in table for row in rows} == {len(TcpState)}
    assert set(tcp.TIMEOUTS) == set(TcpState)


def test_the_table_of_sctp_is_whole() -> None:
    assert [len(rows) for rows in sctp.TRANSITIONS] == [10, 10, 10]
    assert {len(row) for rows in sctp.TRANSITIONS for row in rows.values()} == {len(SctpState)}
    assert set(sctp.TIMEOUTS) == set(SctpState)
    for rows in sctp.TRANSITIONS:  # an ABORT ends any association: it is closed, or was refused
        assert set(rows[ChunkType.ABORT]) == {SctpState.CLOSED, SctpState.REJECTED}


def test_connections_end_when_their_time_is_over() -> None:
    balancer = Balancer(service("rr", 1))
    balancer.open(4000)
    balancer.pass_time(59)
    assert len(balancer.table()) == 1
    balancer.pass_time(2)
    assert balancer.table() == []
    server = balancer.server("10.0.2.2")
    assert (server.active, server.inactive, server.references) == (0, 0, 0)


def test_set_changes_timeouts_with_the_next_packet() -> None:
    balancer = Balancer(f"{service('rr', 1)}\n--set 100 0 7")
    balancer.open(4000)
    balancer.open(4000, flags=wire.ACK)
    balancer.pass_time(99)
    assert len(balancer.table()) == 1
    balancer.pass_time(2)
    assert balancer.table() == []
