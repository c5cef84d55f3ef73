"""The fib: longest prefix, metrics, rules, and what it refuses; a property against a plain search."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.dummy import Dummy
from emulator.kernel.netns import Netns
from emulator.kernel.routing.fib import Rule, Table
from emulator.kernel.routing.route import Route, RouteError, RouteType, Scope
from emulator.packet.address import MASKS, ipv4_to_int

ip = ipv4_to_int


def namespace() -> tuple[Netns, Dummy, Dummy]:
    netns = Netns(Kernel("machine", random.Random(1)), "ns")
    links = [Dummy(netns, name, number) for number, name in enumerate(("a", "b"), 10)]
    for number, link in enumerate(links, 1):
        link.set_up()
        netns.add_address(link, ip(f"10.{number}.0.1"), 24)
    return netns, links[0], links[1]


PREFIXES = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: (pair[0] & MASKS[pair[1]], pair[1])
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PREFIXES, st.integers(0, 3)), max_size=20), st.lists(st.integers(0, 2**32 - 1), max_size=10))
def test_lookup_finds_the_longest_prefix_of_the_lowest_metric(
    entries: list[tuple[tuple[int, int], int]], addresses: list[int]
) -> None:
    table = Table()
    routes = [Route(network, length, metric=metric) for (network, length), metric in entries]
    for route in routes:
        table.insert(route)
    for address in addresses + [route.destination for route in routes]:
        fitting = [route for route in routes if not (address ^ route.destination) & MASKS[route.prefix_length]]
        found = table.lookup(address)
        expected = min(fitting, key=lambda route: (-route.prefix_length, route.metric), default=None)
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert (found.prefix_length, found.metric) == (expected.prefix_length, expected.metric)
    for route in routes:
        table.delete(route)
    assert len(table) == 0
    assert table.lookup(0) is None


def test_a_gateway_must_be_reachable_and_names_the_link() -> None:
    netns, a, b = namespace()
    assert netns.fib.add(Route(ip("192.0.2.0"), 24, gateway=ip("10.2.0.9"))).link is b
    for route, message in (
        (Route(ip("192.0.3.0"), 24, gateway=ip("10.9.0.9")), "Nexthop has invalid gateway"),
        (Route(ip("192.0.3.0"), 24, gateway=ip("192.0.2.1")), "Nexthop has invalid gateway"),
        (Route(ip("192.0.3.1"), 24, link=a), "Invalid prefix"),
        (Route(ip("192.0.3.0"), 24), "No such device"),
        (Route(ip("192.0.2.0"), 24, gateway=ip("10.1.0.9")), "File exists"),
        (Route(ip("192.0.3.0"), 24, link=a, source=ip("9.9.9.9")), "Invalid prefsrc"),
    ):
        with pytest.raises(RouteError, match=message):
            netns.fib.add(route)
    onlink = netns.fib.add(Route(ip("192.0.3.0"), 24, link=a, gateway=ip("9.9.9.9"), onlink=True))
    assert onlink.format() == "192.0.3.0/24 via 9.9.9.9 dev a onlink"
    a.set_up(False)
    with pytest.raises(RouteError, match="not up"):
        netns.fib.add(Route(ip("192.0.4.0"), 24, link=a))


def test_equal_prefixes_are_told_apart_by_metric() -> None:
    netns, a, b = namespace()
    netns.fib.add(Route(0, 0, gateway=ip("10.1.0.9"), metric=200))
    netns.fib.add(Route(0, 0, gateway=ip("10.2.0.9"), metric=100))
    assert [route.format() for route in netns.fib.routes()[:2]] == [
        "default via 10.2.0.9 dev b metric 100",
        "default via 10.1.0.9 dev a metric 200",
    ]
    found = netns.fib.lookup(ip("8.8.8.8"))
    assert isinstance(found, Route)
    assert found.link is b
    netns.fib.remove(Route(0, 0, metric=100))
    found = netns.fib.lookup(ip("8.8.8.8"))
    assert isinstance(found, Route)
    assert found.link is a
    with pytest.raises(RouteError, match="No such process"):
        netns.fib.remove(Route(0, 0, metric=100))


def test_replace_takes_the_place_of_the_old_route() -> None:
    netns, _a, _b = namespace()
    netns.fib.add(Route(0, 0, gateway=ip("10.1.0.9")))
    netns.fib.add(Route(0, 0, gateway=ip("10.2.0.9")), replace_existing=True)
    assert [route.format() for route in netns.fib.routes() if not route.prefix_length] == ["default via 10.2.0.9 dev b"]


def test_rules_choose_the_table() -> None:
    netns, a, b = namespace()
    netns.fib.add(Route(0, 0, gateway=ip("10.1.0.9")))
    netns.fib.add(Route(0, 0, gateway=ip("10.2.0.9"), table=100))
    netns.fib.add(Route(ip("203.0.113.0"), 24, RouteType.THROW, table=100))
    netns.fib.add_rule(Rule(10, 100, mark=1, mask=0xFF))
    netns.fib.add_rule(Rule(11, 100, in_link="b"))
    netns.fib.add_rule(Rule(12, 100, source=(ip("10.7.0.0"), 16)))

    def link(**selector: int | str) -> object:
        found = netns.fib.lookup(ip("8.8.8.8"), **selector)  # type: ignore[arg-type]
        return found.link if isinstance(found, Route) else found

    assert link() is a
    assert link(mark=0x101) is b
    assert link(in_link="b") is b
    assert link(saddr=ip("10.7.1.1")) is b
    thrown = netns.fib.lookup(ip("203.0.113.1"), mark=1)
    assert isinstance(thrown, Route)
    assert thrown.link is a
    netns.fib.remove_rule(Rule(10, 100, mark=1, mask=0xFF))
    assert link(mark=0x101) is a
    with pytest.raises(RouteError):
        netns.fib.remove_rule(Rule(10, 100))
    with pytest.raises(RouteError):
        netns.fib.add_rule(Rule(11, 100, in_link="b"))


def test_kinds_of_addresses() -> None:
    netns, _a, b = namespace()
    kinds = {
        "10.1.0.1": RouteType.LOCAL,
        "127.9.9.9": RouteType.LOCAL,
        "10.1.0.255": RouteType.BROADCAST,
        "255.255.255.255": RouteType.BROADCAST,
        "224.0.0.1": RouteType.MULTICAST,
        "10.1.0.7": RouteType.UNICAST,
    }
    assert {address: netns.fib.address_type(ip(address)) for address in kinds} == kinds
    assert netns.fib.address_type(ip("10.1.0.1"), b) is RouteType.UNICAST


def test_failing_routes_and_none_at_all() -> None:
    netns, _a, _b = namespace()
    assert netns.fib.lookup(ip("8.8.8.8")) is DropReason.IP_OUTNOROUTES
    netns.fib.add(Route(ip("8.8.0.0"), 16, RouteType.PROHIBIT))
    assert netns.fib.lookup(ip("8.8.8.8")) is DropReason.IP_ROUTE_PROHIBIT


def test_every_change_moves_the_generation() -> None:
    netns, a, _b = namespace()
    seen = {netns.fib.generation}
    for change in (
        lambda: netns.fib.add(Route(0, 0, gateway=ip("10.1.0.9"))),
        lambda: netns.fib.remove(Route(0, 0)),
        lambda: netns.add_address(a, ip("10.5.0.1"), 24),
        lambda: netns.remove_address(a, ip("10.5.0.1"), 24),
        lambda: a.set_up(False),
        lambda: a.set_up(True),
        lambda: a.set_mtu(1400),
        lambda: netns.sysctl.set("net.ipv4.conf.a.rp_filter", 1),
    ):
        change()
        assert netns.fib.generation not in seen
        seen.add(netns.fib.generation)


def test_an_address_comes_and_goes_with_its_routes() -> None:
    netns, a, b = namespace()
    before = [route.format(show_table=True) for route in netns.fib.routes(None)]
    netns.add_address(a, ip("10.5.0.1"), 24, scope=Scope.UNIVERSE)
    netns.fib.add(Route(ip("192.0.2.0"), 24, link=b, source=ip("10.5.0.1")))
    netns.remove_address(a, ip("10.5.0.1"), 24)
    assert [route.format(show_table=True) for route in netns.fib.routes(None)] == before
    with pytest.raises(RouteError, match="Address not found"):
        netns.remove_address(a, ip("10.5.0.1"), 24)
    with pytest.raises(RouteError, match="already assigned"):
        netns.add_address(a, ip("10.1.0.1"), 24)
