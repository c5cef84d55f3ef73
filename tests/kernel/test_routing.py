"""Routing decisions: the checks on senders, and that what is remembered is forgotten when it must be."""

from __future__ import annotations

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.route import Route, RouteResult, RouteType
from emulator.kernel.routing.routing import CACHE_LIMIT
from emulator.packet.address import ipv4_to_int
from tests.kernel.router import CLIENT, SERVER, Router

ip = ipv4_to_int


def decide(router: Router, source: str, destination: str) -> RouteType | DropReason:
    decision = router.ns.routing.input(router.a, ip(source), ip(destination), 0)
    return decision.type if isinstance(decision, RouteResult) else decision


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0, RouteType.UNICAST), (1, DropReason.IP_RPFILTER), (2, RouteType.UNICAST)],
)
def test_reverse_path_filter_modes(mode: int, expected: RouteType | DropReason) -> None:
    router = Router()
    router.ns.fib.add(Route(0, 0, gateway=ip(CLIENT)))
    assert decide(router, "10.2.0.7", SERVER) is RouteType.UNICAST
    router.ns.sysctl.set("net.ipv4.conf.a.rp_filter", mode)
    assert decide(router, "10.2.0.7", SERVER) is expected


def test_switches_of_a_link_take_effect_at_once() -> None:
    router = Router()
    assert decide(router, CLIENT, "127.0.0.1") is DropReason.IP_LOCALNET
    router.ns.sysctl.set("net.ipv4.conf.a.route_localnet", 1)
    assert decide(router, CLIENT, "127.0.0.1") is RouteType.LOCAL
    assert decide(router, "10.2.0.1", SERVER) is DropReason.IP_LOCAL_SOURCE
    router.ns.sysctl.set("net.ipv4.conf.all.accept_local", 1)
    assert decide(router, "10.2.0.1", SERVER) is RouteType.UNICAST
    router.ns.sysctl.set("net.ipv4.conf.a.forwarding", 0)
    assert decide(router, CLIENT, SERVER) is RouteType.UNREACHABLE


def test_a_flood_of_senders_does_not_grow_the_memory() -> None:
    router = Router()
    for number in range(2 * CACHE_LIMIT):
        router.ns.routing.input(router.a, ip("20.0.0.0") + number, ip(SERVER), 0)
        router.ns.routing.output(ip("20.0.0.0") + number)
    assert len(router.ns.routing._input) <= CACHE_LIMIT
    assert len(router.ns.routing._output) <= CACHE_LIMIT


def test_output_bound_to_a_link_needs_no_route() -> None:
    router = Router()
    decision = router.ns.routing.output(ip("192.0.2.1"), link=router.b)
    assert isinstance(decision, RouteResult)
    assert (decision.link, decision.source, decision.gateway) == (router.b, ip("10.2.0.1"), 0)


def test_output_prefers_the_address_on_the_gateways_network() -> None:
    router = Router()
    router.ns.add_address(router.b, ip("10.8.0.1"), 24)
    router.ns.fib.add(Route(ip("192.0.2.0"), 24, gateway=ip("10.8.0.9")))
    decision = router.ns.routing.output(ip("192.0.2.1"))
    assert isinstance(decision, RouteResult)
    assert decision.source == ip("10.8.0.1")
