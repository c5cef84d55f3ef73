"""Links: counters, captures, up and down, pairs, namespaces, queues that are full."""

from __future__ import annotations

import random

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.link import nic as nic_module
from emulator.kernel.link import veth
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.dummy import Dummy
from emulator.kernel.link.link import Link
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import RouteError
from emulator.kernel.skb import Skb
from emulator.packet.address import ipv4_to_int
from tests.kernel.router import Router, datagram, run


def two_pods() -> tuple[Kernel, Netns, Netns, Link, Link]:
    kernel = Kernel("machine", random.Random(1))
    one, two = Netns(kernel, "one"), Netns(kernel, "two")
    a, b = veth.pair(one, "eth0", two, "eth0", 0x0A, 0x0B)
    one.add_address(a, ipv4_to_int("10.0.0.1"), 24)
    two.add_address(b, ipv4_to_int("10.0.0.2"), 24)
    return kernel, one, two, a, b


def test_frames_are_counted_and_shown_to_captures() -> None:
    router = Router()
    shown: list[tuple[str, str, int]] = []
    for link in (router.a, router.b):
        link.taps.append(lambda link, direction, skb: shown.append((link.name, direction, len(skb.data))))
    router.feed(router.a, datagram())
    assert shown == [("a", "in", 52), ("b", "out", 52)]
    assert (router.a.counters.rx_packets, router.a.counters.rx_bytes) == (1, 52)
    assert (router.b.counters.tx_packets, router.b.counters.tx_bytes) == (1, 52)


def test_a_link_that_is_down_takes_and_sends_nothing() -> None:
    router = Router()
    router.a.set_up(False)
    router.feed(router.a, datagram())
    router.a.transmit(Skb(bytearray(60)))
    assert router.ns.drops[DropReason.DEV_READY] == 2
    assert (router.a.counters.rx_dropped, router.a.counters.tx_dropped) == (1, 1)


def test_a_pair_has_carrier_while_both_ends_are_up() -> None:
    kernel, one, _two, a, b = two_pods()
    a.set_up()
    assert not a.carrier
    assert str(one.fib.routes()[0]).endswith("linkdown")
    b.set_up()
    assert a.carrier
    assert b.carrier
    socket = one.sockets.ping(1)
    socket.send_echo(ipv4_to_int("10.0.0.2"), 1, b"")
    run(kernel)
    assert socket.receive() is not None


def test_a_frame_too_long_for_the_other_end_is_dropped() -> None:
    _kernel, one, _two, a, b = two_pods()
    a.set_up()
    b.set_up()
    b.set_mtu(1000)
    a.transmit(Skb(bytearray(1018)))
    a.transmit(Skb(bytearray(1019)))
    assert dict(one.drops) == {DropReason.PKT_TOO_BIG: 1}


def test_deleting_one_end_deletes_the_other() -> None:
    _kernel, one, two, a, _b = two_pods()
    one.remove_link(a)
    assert list(two.links) == ["lo"]
    assert two.fib.address_type(ipv4_to_int("10.0.0.2")).value == "unicast"


def test_closing_a_namespace_takes_its_links_along() -> None:
    kernel, one, two, _a, _b = two_pods()
    one.close()
    assert list(kernel.namespaces) == ["two"]
    assert list(two.links) == ["lo"]


def test_a_link_moves_to_another_namespace_without_its_addresses() -> None:
    kernel, one, _two, a, _b = two_pods()
    a.set_up()
    third = Netns(kernel, "three")
    a.move(third)
    assert "eth0" not in one.links
    assert third.links["eth0"] is a
    assert not a.up
    assert list(a.addresses) == []
    assert [route for route in one.fib.routes(None) if route.link is a] == []


def test_names_are_unique_in_a_namespace() -> None:
    kernel, one, _two, _a, _b = two_pods()
    with pytest.raises(RouteError, match="File exists"):
        Dummy(one, "eth0", 1)
    with pytest.raises(RouteError, match="File exists"):
        Netns(kernel, "one")


def test_indexes_are_unique_and_loopback_has_the_first() -> None:
    _kernel, one, two, a, b = two_pods()
    assert one.loopback.index == two.loopback.index == 1
    assert one.link_by_index(a.index) is a
    assert a.index != b.index


def test_a_full_transmit_queue_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic_module, "QUEUE_LIMIT", 3)
    router = Router()
    router.feed(router.a, *[datagram()] * 5)
    assert len(router.b.transmit_queue) == 3
    assert dict(router.ns.drops) == {DropReason.FULL_RING: 2}


def test_a_dummy_swallows_what_it_is_sent() -> None:
    router = Router()
    dummy = Dummy(router.ns, "kube-ipvs0", 0x0200000000DD)
    dummy.set_up()
    router.ns.add_address(dummy, ipv4_to_int("10.50.0.1"), 24)
    router.feed(router.a, datagram(destination="10.50.0.9"))
    assert dummy.counters.tx_packets == 1
    assert isinstance(router.ns.links["a"], Nic)


def test_what_a_link_cannot_move_on_is_not_counted_as_sent() -> None:
    kernel, one, _, a, b = two_pods()
    a.set_up()
    b.set_up()
    b.set_mtu(1000)
    a.transmit(Skb(bytearray(1200)))
    b.set_up(False)
    a.transmit(Skb(bytearray(100)))
    assert (a.counters.tx_packets, a.counters.tx_bytes, a.counters.tx_dropped) == (0, 0, 2)
    assert one.drops == {DropReason.PKT_TOO_BIG: 1, DropReason.DEV_READY: 1}
    assert not kernel.faults


def test_a_move_that_is_refused_changes_nothing() -> None:
    kernel, one, two, a, _ = two_pods()
    with pytest.raises(RouteError, match="same name exists"):
        a.move(two)
    assert one.links["eth0"] is a
    assert [own.address for own in a.addresses] == [ipv4_to_int("10.0.0.1")]
    for fixed in (one.loopback, Bridge(one, "br0")):
        with pytest.raises(RouteError, match="immutable"):
            fixed.move(Netns(kernel, f"for-{fixed.name}"))
