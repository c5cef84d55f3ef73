"""Whose a packet is, against the real kernel: `-m owner`, `-m socket` and `-j TPROXY`, with sockets and without."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from emulator.kernel.owner import Owner
from emulator.kernel.routing.fib_rule import Rule
from emulator.kernel.routing.route import Route, RouteType, Scope
from emulator.kernel.socket.udp import UdpSocket
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, SYN
from tests.kernel_oracle import harness
from tests.kernel_oracle.harness import ethernet
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, OWN, FAR = "10.0.1.2", "10.0.1.1", "10.0.2.2"
OWNERS = (
    "--socket-exists", "! --socket-exists", "--uid-owner 0", "! --uid-owner 0", "--uid-owner 5", "! --uid-owner 5",
    "--gid-owner 0", "! --gid-owner 7", "--uid-owner 0 --gid-owner 0", "! --uid-owner 5 ! --gid-owner 5",
    "--socket-exists ! --uid-owner 5", "! --socket-exists ! --uid-owner 5", "--uid-owner 1000-1400",
    "--gid-owner 1337", "--gid-owner 42", "--gid-owner 42 --suppl-groups", "! --gid-owner 42 --suppl-groups",
)  # fmt: skip
SOCKETS = ("", "--nowildcard", "--transparent", "--transparent --nowildcard", "--restore-skmark")
TABLE = 100


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def arrive(bed: RouterBed, *packets: bytes) -> None:
    """Send packets in at `a`, and compare what comes out and what the rules counted."""
    for packet in packets:
        bed.compare([("a", ethernet(MACS["a"], HOST_MAC, packet))])
        bed.compare_counters("mangle")


def of_owners(chains: tuple[str, ...]) -> str:
    return "*mangle\n" + "".join(f"-A {chain} -m owner {test}\n" for chain in chains for test in OWNERS) + "COMMIT\n"


def test_the_kernels_own_answers_have_a_socket_but_no_owner(bed: RouterBed) -> None:
    bed.build(of_owners(("OUTPUT", "POSTROUTING")))
    arrive(
        bed,
        wire.echo(CLIENT, OWN, 1),
        wire.tcp(CLIENT, 1000, OWN, 81, SYN),
        wire.tcp(CLIENT, 1000, OWN, 81, ACK),
        wire.udp(CLIENT, 1000, OWN, 81),
        wire.udp(CLIENT, 1000, FAR, 81),
        wire.udp(CLIENT, 1000, FAR, 81, ttl=1),
    )


def test_a_program_owns_what_its_sockets_send(bed: RouterBed) -> None:
    bed.build(of_owners(("OUTPUT", "POSTROUTING")))
    script = (
        "import os, socket; os.setgroups([42]); os.setgid(1337); os.setuid(1337)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('10.0.2.2', 53))"
    )
    bed.execute("python3", "-c", script)
    bed.ns.sockets.owner = Owner(1337, 1337, (42,))
    bed.ns.sockets.udp().send_to(b"x", (FAR, 53))
    bed.kernel.run(bed.kernel.now)
    bed.compare_counters("mangle")


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("address", ["0.0.0.0", OWN])
def test_sockets_are_found_for_packets(bed: RouterBed, address: str, transparent: bool) -> None:
    chains = "".join(f"-A {chain} -m socket {test}\n" for chain in ("PREROUTING", "INPUT") for test in SOCKETS)
    bed.build(f"*mangle\n-A PREROUTING -j MARK --set-mark 7\n{chains}-A INPUT -m mark --mark 7\nCOMMIT\n")
    with harness._inside(bed.name):
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        for each in (udp, tcp):
            each.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, int(transparent))
            each.bind((address, 5000))
        tcp.listen()
    ours = bed.ns.sockets.udp()
    ours.bind((address, 5000))
    listener = bed.ns.sockets.listen((address, 5000))
    ours.transparent = listener.transparent = transparent
    with udp, tcp:
        for port in (5000, 5001):
            ours_to_far = wire.udp(OWN, port, CLIENT, 1000)
            arrive(
                bed,
                wire.udp(CLIENT, 1000, OWN, port),
                wire.tcp(CLIENT, 1000, OWN, port, ACK),
                wire.udp(CLIENT, 1000, FAR, port),
                wire.icmp_error(CLIENT, OWN, ours_to_far),
                wire.echo(CLIENT, OWN, 1),
            )


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("on", ["--on-port 15001", "--on-port 15001 --on-ip 10.0.3.1", "--on-port 0"])
def test_a_proxy_is_given_what_is_for_others(bed: RouterBed, on: str, transparent: bool) -> None:
    bed.build(
        f"*mangle\n-A PREROUTING -p udp -j TPROXY {on} --tproxy-mark 0x1/0x1\n-A INPUT -p udp\n-A FORWARD\nCOMMIT\n"
    )
    bed.ip(f"rule add fwmark 1 lookup {TABLE}")
    bed.ip(f"route add local 0.0.0.0/0 dev lo table {TABLE}")
    fib = bed.ns.fib
    fib.add_rule(Rule(32765, TABLE, (0, 0), (0, 0), 1, 0xFFFFFFFF))
    fib.add(Route(0, 0, RouteType.LOCAL, bed.ns.loopback, 0, 0, Scope.HOST, 0, TABLE))
    with harness._inside(bed.name):
        real = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        real.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, int(transparent))
        real.bind(("0.0.0.0", 15001))
    ours = bed.ns.sockets.udp()
    ours.bind(("0.0.0.0", 15001))
    ours.transparent = transparent
    with real:
        for target, port in ((FAR, 53), (FAR, 15001), (OWN, 15001), (OWN, 53)):
            arrive(bed, wire.udp(CLIENT, 1000, target, port, b"hello"))
            assert taken(lambda: real.recvfrom(99)) == taken(lambda: received(ours))
        assert taken(lambda: real.recvfrom(99)) is None


def taken(receive: Callable[[], tuple[bytes, tuple[str, int]]]) -> tuple[bytes, tuple[str, int]] | None:
    try:
        return receive()
    except BlockingIOError:
        return None


def received(ours: UdpSocket) -> tuple[bytes, tuple[str, int]]:
    datagram = ours.receive()
    if datagram is None:
        raise BlockingIOError(os.strerror(11))
    return datagram.payload, datagram.source


def test_what_a_proxy_was_given_is_not_forwarded(bed: RouterBed) -> None:
    """Without a policy rule that takes the mark for local (ip_forward drops what has a socket)."""
    bed.build("*mangle\n-A PREROUTING -p udp -j TPROXY --on-port 15001\n-A FORWARD\nCOMMIT\n")
    with harness._inside(bed.name):
        real = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        real.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, 1)
        real.bind(("0.0.0.0", 15001))
    ours = bed.ns.sockets.udp()
    ours.bind(("0.0.0.0", 15001))
    ours.transparent = True
    with real:
        arrive(bed, wire.udp(CLIENT, 1000, FAR, 53), wire.echo(CLIENT, FAR, 1))
