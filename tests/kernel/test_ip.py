"""IPv4 through a router: what comes out, and why what does not come out was dropped."""

from __future__ import annotations

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.reroute import rerouting
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route, RouteResult, RouteType
from emulator.kernel.skb import Skb
from emulator.packet.address import ipv4_to_int
from emulator.packet.checksum import is_valid
from emulator.packet.describe import describe_frame
from tests.kernel.frames import echo, ethernet, ipv4
from tests.kernel.router import A_MAC, CLIENT, CLIENT_MAC, HERE, SERVER, SERVER_MAC, Router, datagram


def test_a_forwarded_packet_changes_in_its_ttl_and_macs_only() -> None:
    router = Router()
    router.feed(router.a, datagram(ttl=9))
    (sent,) = router.taken(router.b)
    assert sent[:14] == bytes.fromhex("02000000010202000000000b0800")
    assert sent[22] == 8
    assert is_valid(sent[14:34])
    assert sent[34:] == datagram(ttl=9)[34:]
    assert not router.ns.drops


def test_each_way_to_be_dropped_is_named() -> None:
    router = Router()
    good = datagram()
    packet = good[14:]
    cases = {
        DropReason.OTHERHOST: b"\x02\0\0\0\x09\x09" + good[6:],
        DropReason.DEV_HDR: good[:13],
        DropReason.UNHANDLED_PROTO: good[:12] + b"\x86\xdd" + packet,
        DropReason.PKT_TOO_SMALL: good[:-1],
        DropReason.IP_INHDR: good[:14] + b"\x65" + packet[1:],
        DropReason.IP_CSUM: good[:24] + bytes((good[24] ^ 1,)) + good[25:],
        DropReason.IP_TTL_EXPIRED: datagram(ttl=1),
        DropReason.IP_INNOROUTES: datagram(destination="192.0.2.1"),
        DropReason.IP_LOCAL_SOURCE: datagram(source=HERE),
        DropReason.IP_INVALID_SOURCE: datagram(source="224.0.0.1"),
        DropReason.IP_INVALID_DEST: datagram(destination="0.0.0.0"),
        DropReason.IP_LOCALNET: datagram(destination="127.0.0.1"),
        DropReason.NO_SOCKET: datagram(destination=HERE),
    }
    for reason, frame in cases.items():
        router.ns.drops.clear()
        router.feed(router.a, frame)
        assert dict(router.ns.drops) == {reason: 1}, reason
    assert [record.reason for record in router.kernel.drop_log] == list(cases)


def test_the_drop_log_tells_who_spoke_to_whom() -> None:
    router = Router()
    router.feed(router.a, datagram(ttl=1))
    (record,) = router.kernel.drop_log
    assert (record.netns, record.link, record.protocol) == ("router", "a", 17)
    assert (record.saddr, record.sport, record.daddr, record.dport) == (0x0A010002, 1000, 0x0A020002, 2000)
    assert record.line == "IP 10.1.0.2.1000 > 10.2.0.2.2000: UDP, length 10"


def test_without_forwarding_a_packet_ends_silently() -> None:
    router = Router(forwarding=False)
    router.feed(router.a, datagram())
    assert dict(router.ns.drops) == {DropReason.IP_FORWARDING_OFF: 1}
    assert router.taken(router.a) == router.taken(router.b) == []


def test_a_big_packet_is_cut_or_refused_with_the_mtu() -> None:
    router = Router()
    router.b.set_mtu(576)
    router.feed(router.a, datagram(size=1000), datagram(size=1000, fragment=0x4000))
    pieces = router.taken(router.b)
    assert [len(piece) - 14 for piece in pieces] == [572, 476]
    assert [int.from_bytes(piece[20:22], "big") for piece in pieces] == [0x2000, 552 >> 3]
    (refusal,) = router.taken(router.a)
    assert (
        describe_frame(refusal)
        == "IP 10.1.0.1 > 10.1.0.2: ICMP 10.2.0.2 unreachable - need to frag (mtu 576), length 556"
    )


def test_output_picks_source_ttl_and_identification() -> None:
    router = Router()
    send = router.ns.ip.output
    assert send(17, bytes(8), daddr=ipv4_to_int(SERVER)) is None
    assert send(17, bytes(8), daddr=ipv4_to_int(SERVER), dont_fragment=True, ttl=3, tos=0x10) is None
    first, second = router.taken(router.b)
    assert first[26:30] == second[26:30] == bytes((10, 2, 0, 1))
    assert (first[22], second[22]) == (64, 3)
    assert first[18:20] != b"\0\0"
    assert second[18:22] == b"\0\0\x40\0"
    assert is_valid(first[14:34])


def test_output_says_why_it_cannot_send() -> None:
    router = Router()
    send = router.ns.ip.output
    assert send(17, bytes(8), daddr=ipv4_to_int("192.0.2.1")) is DropReason.IP_OUTNOROUTES
    assert send(17, bytes(8), daddr=ipv4_to_int(SERVER), saddr=ipv4_to_int("9.9.9.9")) is DropReason.IP_INVALID_SOURCE
    assert send(17, bytes(2000), daddr=ipv4_to_int(SERVER), dont_fragment=True) is DropReason.PKT_TOO_BIG
    assert send(17, bytes(65_530), daddr=ipv4_to_int(SERVER)) is DropReason.PKT_TOO_BIG
    for kind, reason in (
        (RouteType.BLACKHOLE, DropReason.IP_ROUTE_BLACKHOLE),
        (RouteType.UNREACHABLE, DropReason.IP_ROUTE_UNREACHABLE),
        (RouteType.PROHIBIT, DropReason.IP_ROUTE_PROHIBIT),
    ):
        router.ns.fib.add(Route(ipv4_to_int("192.0.2.0"), 24, kind), replace_existing=True)
        assert send(17, bytes(8), daddr=ipv4_to_int("192.0.2.1")) is reason


def test_a_stale_route_is_looked_up_again() -> None:
    router = Router()
    route = router.ns.ip.route_output(ipv4_to_int(SERVER))
    assert isinstance(route, RouteResult)
    router.ns.fib.add(Route(ipv4_to_int(SERVER), 32, gateway=ipv4_to_int(CLIENT)))
    assert router.ns.ip.output(17, bytes(8), daddr=ipv4_to_int(SERVER), route=route) is None
    assert len(router.taken(router.a)) == 1


@pytest.mark.parametrize("anew", [True, False])
def test_output_is_routed_again_by_the_hooks_that_do_so(anew: bool) -> None:
    router = Router()

    def redirect(netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        skb.daddr = ipv4_to_int(CLIENT)
        skb.data[30:34] = skb.daddr.to_bytes(4, "big")
        return Verdict.ACCEPT

    router.ns.netfilter.register(Hook.OUTPUT, 0, "test", rerouting(redirect) if anew else redirect)
    router.ns.ip.output(17, bytes(8), daddr=ipv4_to_int(SERVER))
    assert (len(router.taken(router.a)), len(router.taken(router.b))) == ((1, 0) if anew else (0, 1))


def test_hooks_see_the_links_of_each_place() -> None:
    router = Router()
    seen: list[tuple[str, str | None, str | None]] = []

    def note(netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        names = (None if link is None else link.name for link in (skb.in_link, skb.out_link))
        seen.append((hook.name, *names))  # type: ignore[arg-type]
        return Verdict.ACCEPT

    for hook in Hook:
        router.ns.netfilter.register(hook, 0, "test", note)
    router.feed(router.a, datagram())
    assert seen == [("PREROUTING", "a", None), ("FORWARD", "a", "b"), ("POSTROUTING", "a", "b")]
    seen.clear()
    router.feed(router.a, ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 1, echo())))
    assert seen == [("PREROUTING", "a", None), ("INPUT", "a", None), ("OUTPUT", None, "a"), ("POSTROUTING", None, "a")]


def test_a_packet_to_our_own_address_goes_over_the_loopback() -> None:
    router = Router()
    socket = router.ns.sockets.ping(5)
    socket.send_echo(ipv4_to_int("10.2.0.1"), 1, b"x")
    router.run()
    reply = socket.receive()
    assert reply is not None
    assert reply.source == "10.2.0.1"
    assert router.ns.loopback.counters.rx_packets == 2


def test_multicast_reaches_groups_we_are_in_and_ourselves() -> None:
    router = Router()
    group = ipv4_to_int("239.1.2.3")
    router.ns.fib.add(Route(ipv4_to_int("239.0.0.0"), 8, link=router.b))
    socket = router.ns.sockets.udp()
    socket.bind(("0.0.0.0", 2000))
    frame = ethernet("01:00:5e:01:02:03", CLIENT_MAC, datagram(destination="239.1.2.3")[14:])
    router.feed(router.a, frame)
    assert socket.receive() is None
    router.a.multicast_groups.add(group)
    router.b.multicast_groups.add(group)
    router.ns.flush_routes()
    router.feed(router.a, frame)
    assert socket.receive() is not None
    socket.send_to(b"x", ("239.1.2.3", 2000))
    router.run()
    (sent,) = router.taken(router.b)
    assert sent[:6] == bytes.fromhex("01005e010203")
    assert sent[22] == 1
    assert socket.receive() is not None


def test_a_traced_packet_tells_its_way_and_that_of_its_answer() -> None:
    router = Router()
    trace = router.kernel.open_trace(9)
    router.a.receive_frame(ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 1, echo())), trace)
    router.run()
    steps = router.kernel.take_steps()
    kinds = [step.kind.value for step in steps]
    assert kinds == ["receive", "route", "deliver", "reply", "send", "route", "neighbour", "transmit"]
    assert [step.number for step in steps] == list(range(1, 9))
    assert {step.trace for step in steps} == {9}
    assert SERVER_MAC not in steps[-1].detail.values()
