"""Routes with many ways: shares by weight, the known hash, what a flow is, and that plain routes pay nothing."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.routing.flow_keys import FlowKeys, flow_hash
from emulator.kernel.routing.multipath import upper_bounds
from emulator.kernel.routing.route import NextHop, Route, RouteResult
from emulator.kernel.siphash import siphash
from emulator.packet.address import format_ipv4, ipv4_to_int
from tests.kernel.router import SERVER, Router, datagram

ip = ipv4_to_int
KEY = (0x0706050403020100, 0x0F0E0D0C0B0A0908)


def two_ways(router: Router, first: int = 1, second: int = 1) -> Route:
    hops = (NextHop(None, ip("10.1.0.9"), first), NextHop(None, ip("10.2.0.9"), second))
    return router.ns.fib.add(Route(0, 0, nexthops=hops))


def test_siphash_gives_the_published_vectors() -> None:
    # The reference implementation's vectors for inputs of 0, 8 and 16 bytes 00 01 02 ...
    words = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert siphash((), KEY) == 0x726FDB47DD0E0E31
    assert siphash(words[:1], KEY) == 0x93F5F5799A932462
    assert siphash(words, KEY) == 0x3F2ACC7F57C29BDB


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 65535), st.integers(0, 65535))
def test_both_directions_of_a_flow_hash_alike(saddr: int, daddr: int, sport: int, dport: int) -> None:
    there, back = FlowKeys(saddr, daddr, 6, sport, dport), FlowKeys(daddr, saddr, 6, dport, sport)
    assert flow_hash(there, 5) == flow_hash(back, 5) != 0


@given(st.lists(st.integers(1, 256), min_size=2, max_size=8))
def test_shares_are_by_weight_and_cover_all(weights: list[int]) -> None:
    router = Router()
    route = Route(0, 0, nexthops=tuple(NextHop(router.a, n, weight) for n, weight in enumerate(weights, 1)))
    bounds = [bound for _, bound in upper_bounds(route)]
    assert bounds[-1] == 2**31 - 1
    for weight, share in zip(weights, [b - a for a, b in zip([-1, *bounds], bounds, strict=False)], strict=True):
        assert abs(share - 2**31 * weight / sum(weights)) <= 1


def test_a_way_whose_link_is_down_is_not_taken_and_the_route_says_so() -> None:
    router = Router()
    route = two_ways(router, 1, 255)
    router.b.set_up(False)
    assert {result.gateway for result in sent(router)} == {ip("10.1.0.9")}
    assert route.format() == (
        "default nexthop via 10.1.0.9 dev a weight 1 nexthop via 10.2.0.9 dev b weight 255 dead linkdown"
    )
    router.a.set_up(False)
    assert route not in router.ns.fib.routes()


def sent(router: Router) -> list[RouteResult]:
    results = [router.ns.ip.route_output(ip("192.0.2.0") + number) for number in range(64)]
    return [result for result in results if isinstance(result, RouteResult)]


def test_with_ports_in_the_hash_one_pair_of_hosts_uses_both_ways() -> None:
    router = Router()
    two_ways(router)

    def ways() -> Counter[str]:
        results = [
            router.ns.ip.route_output(ip(SERVER) + 512, protocol=17, ports=(port, 53)) for port in range(1000, 1064)
        ]
        return Counter(format_ipv4(result.gateway) for result in results if isinstance(result, RouteResult))

    assert len(ways()) == 1
    router.ns.sysctl.set("net.ipv4.fib_multipath_hash_policy", 1)
    assert len(ways()) == 2


def test_a_sender_with_an_address_takes_the_way_that_has_it() -> None:
    router = Router()
    two_ways(router)
    for number in range(32):
        result = router.ns.ip.route_output(ip("192.0.2.0") + number, saddr=ip("10.2.0.1"))
        assert isinstance(result, RouteResult)
        assert result.link is router.b


def test_the_cache_knows_plain_packets_by_their_addresses_only() -> None:
    router = Router()
    for port in range(5):
        router.feed(router.a, datagram(tos=port << 2))
    assert len(router.ns.routing._input) == 1
    two_ways(router)
    for port in range(5):
        router.feed(router.a, datagram(tos=port << 2))
    assert len(router.ns.routing._input) == 5
