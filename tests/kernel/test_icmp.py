"""ICMP: what errors quote, whom they come from, how often they are sent."""

from __future__ import annotations

import struct

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.route import Route, RouteResult
from emulator.kernel.trace import StepKind
from emulator.packet.address import ipv4_to_int
from emulator.packet.checksum import checksum, is_valid, transport_checksum
from emulator.packet.describe import describe_frame
from tests.kernel.frames import echo, ethernet, ipv4, udp
from tests.kernel.router import A_MAC, CLIENT, CLIENT_MAC, HERE, SERVER, Router, datagram


def to_here(message: bytes, **header: int) -> bytes:
    return ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 1, message, **header))  # type: ignore[arg-type]


def test_an_error_quotes_the_packet_up_to_576_bytes() -> None:
    router = Router()
    frame = datagram(ttl=1, size=1200)
    router.feed(router.a, frame)
    (error,) = router.taken(router.a)
    assert len(error) == 14 + 576
    assert error[42:] == frame[14 : 14 + 548]
    assert error[15] == 0xC0
    assert is_valid(error[34:])


def test_errors_come_six_at_once_then_one_a_second() -> None:
    router = Router()
    router.feed(router.a, *[datagram(ttl=1)] * 20)
    assert len(router.taken(router.a)) == 6
    router.run(1.0)
    router.feed(router.a, *[datagram(ttl=1)] * 5)
    assert len(router.taken(router.a)) == 1


def test_the_rate_limit_is_that_of_the_sysctl() -> None:
    router = Router()
    router.ns.sysctl.set("net.ipv4.icmp_ratelimit", 0)
    router.ns.sysctl.set("net.ipv4.icmp_msgs_burst", 10_000)
    router.run(1.0)
    router.feed(router.a, *[datagram(ttl=1)] * 20)
    assert len(router.taken(router.a)) == 20


def test_frag_needed_is_not_limited() -> None:
    router = Router()
    router.b.set_mtu(600)
    router.feed(router.a, *[datagram(size=1000, fragment=0x4000)] * 50)
    assert len(router.taken(router.a)) == 50


def test_redirects_become_seldom() -> None:
    router = Router()
    router.ns.fib.add(Route(ipv4_to_int("10.9.0.0"), 24, gateway=ipv4_to_int("10.1.0.9")))
    router.know(router.a, "10.1.0.9", "02:00:00:00:01:09")
    frame = datagram(destination="10.9.0.1")
    router.feed(router.a, frame, frame)
    sent = router.taken(router.a)
    assert [describe_frame(one) for one in sent if one[23] == 1] == [
        "IP 10.1.0.1 > 10.1.0.2: ICMP redirect 10.9.0.1 to host 10.1.0.9, length 46"
    ]
    assert len(sent) == 3
    for _ in range(400):
        router.run(0.1)
        router.feed(router.a, frame)
    assert sum(one[23] == 1 for one in router.taken(router.a)) == 8


@pytest.mark.parametrize("kind", [0, 3, 8, 11, 13, 17, 200])
def test_any_message_is_handled(kind: int) -> None:
    router = Router()
    quoted = ipv4(HERE, CLIENT, 17, udp(HERE, CLIENT, 7, 8))
    for payload in (b"", b"x" * 3, quoted, quoted[:24], bytes(60)):
        router.feed(router.a, to_here(echo(kind=kind, payload=payload)))
    router.feed(router.a, to_here(echo(kind=kind)[:5]))
    assert router.ns.drops[DropReason.PKT_TOO_SMALL] >= 1


def test_echo_may_be_switched_off_and_bad_checksums_are_counted() -> None:
    router = Router()
    bad = bytearray(echo())
    bad[3] ^= 0xFF
    router.feed(router.a, to_here(bytes(bad)))
    router.ns.sysctl.set("net.ipv4.icmp_echo_ignore_all", 1)
    router.feed(router.a, to_here(echo()))
    assert router.taken(router.a) == []
    assert dict(router.ns.drops) == {DropReason.ICMP_CSUM: 1, DropReason.ICMP_IGNORED: 1}


def fragmentation_needed(mtu: int) -> bytes:
    message = bytearray(echo(kind=3, payload=ipv4("10.1.0.1", SERVER, 17, bytes(30))))
    message[1] = 4
    message[4:8] = mtu.to_bytes(4, "big")
    message[2:4] = b"\0\0"
    message[2:4] = checksum(message).to_bytes(2, "big")
    return to_here(bytes(message))


def test_a_route_that_was_looked_up_before_learns_the_path_mtu_and_forgets_it() -> None:
    router = Router()
    send, there = router.ns.ip.output, ipv4_to_int(SERVER)
    route = router.ns.ip.route_output(there)
    assert isinstance(route, RouteResult)
    assert send(17, bytes(1300), daddr=there, route=route, dont_fragment=True) is None
    router.feed(router.a, fragmentation_needed(1000), fragmentation_needed(1400))  # it is never raised
    assert send(17, bytes(1300), daddr=there, route=route, dont_fragment=True) is DropReason.PKT_TOO_BIG
    own = router.ns.ip.route_output(there, saddr=ipv4_to_int("10.2.0.1"))
    assert isinstance(own, RouteResult)
    assert own.mtu == 1000
    router.run(601.0)
    assert send(17, bytes(1300), daddr=there, dont_fragment=True) is None
    assert send(17, bytes(1300), daddr=there, route=own, dont_fragment=True) is None


def test_frag_needed_lowers_the_path_mtu_for_ten_minutes() -> None:
    router = Router()
    router.feed(router.a, fragmentation_needed(1200))
    send = router.ns.ip.output
    there = ipv4_to_int(SERVER)
    assert send(17, bytes(1300), daddr=there, dont_fragment=True) is DropReason.PKT_TOO_BIG
    assert send(17, bytes(1180), daddr=there, dont_fragment=True) is None
    router.run(601.0)
    assert send(17, bytes(1300), daddr=there, dont_fragment=True) is None


REJECT = "*filter\n-A INPUT -j REJECT\nCOMMIT\n"
RESET = "*filter\n-A INPUT -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n"
SEGMENT = bytearray(struct.pack("!HHIIHHHH", 1000, 80, 1, 0, 0x5002, 1024, 0, 0))
SEGMENT[16:18] = transport_checksum(SEGMENT, ipv4_to_int(CLIENT), ipv4_to_int(HERE), 6).to_bytes(2, "big")
SYN = ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 6, bytes(SEGMENT)))
PORT, RESETS = "ICMP port unreachable", "TCP reset, as the rule says"


@pytest.mark.parametrize(
    ("frame", "rules", "reason", "why"),
    [
        (datagram(ttl=1), "", "IP_TTL_EXPIRED", "ICMP time exceeded in transit"),
        (datagram(size=2000, fragment=0x4000), "", "PKT_TOO_BIG", "ICMP fragmentation needed"),
        (datagram(destination="10.2.0.9"), "", "NEIGH_FAILED", "ICMP host unreachable"),
        (datagram(destination="192.0.2.1"), "", "IP_INNOROUTES", "ICMP net unreachable"),
        (datagram(destination=HERE), "", "NO_SOCKET", PORT),
        (datagram(destination=HERE), REJECT, "NETFILTER_REJECT", PORT),
        (SYN, RESET, "NETFILTER_REJECT", RESETS),
        (SYN, "", "NO_SOCKET", "TCP reset: nobody listens"),
    ],
)
def test_a_trace_has_the_drop_before_the_answer_that_it_causes(frame: bytes, rules: str, reason: str, why: str) -> None:
    router = Router()
    if rules:
        router.ns.netfilter.restore(rules)
    router.a.receive_frame(frame, router.kernel.open_trace(1))
    router.run(4.0)
    kinds = (StepKind.DROP, StepKind.REPLY, StepKind.SEND)
    ends = [step for step in router.kernel.take_steps() if step.kind in kinds]
    assert [step.kind for step in ends] == [*kinds]
    assert (ends[0].detail["reason"], ends[1].detail["why"]) == (reason, why)
    assert ends[0].packet == ends[1].packet
    assert dict(router.ns.drops) == {DropReason[reason]: 1}
