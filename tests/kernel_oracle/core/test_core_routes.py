"""Addresses, links and routes against ip(8): after each change both sides print the same tables and addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.kernel.routing.fib import Rule
from emulator.kernel.routing.route import Route, RouteError, RouteResult, RouteType, Scope
from emulator.kernel.routing.routing import Decision
from emulator.packet.address import format_ipv4, ipv4_to_int, parse_interface
from tests.kernel_oracle.harness import Testbed

pytestmark = pytest.mark.kernel

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def real_routes(bed: Testbed) -> list[str]:
    return sorted(line.strip() for line in bed.ip("-4 route show table all").splitlines())


def emulated_routes(bed: Testbed) -> list[str]:
    return sorted(route.format(show_table=True) for route in bed.ns.fib.routes(None))


def assert_same(bed: Testbed) -> None:
    assert emulated_routes(bed) == real_routes(bed)
    for link in ("a", "b"):
        real = [line.split()[3] for line in bed.ip(f"-4 -o addr show dev {link}").splitlines()]
        emulated = [f"{format_ipv4(own.address)}/{own.prefix_length}" for own in bed.ns.links[link].addresses]
        assert sorted(emulated) == sorted(real)


def remove(bed: Testbed, link: str, address: str) -> None:
    bed.ip(f"addr del {address} dev {link}")
    value, length = parse_interface(address)
    bed.ns.remove_address(bed.ns.links[link], value, length)


def set_up(bed: Testbed, link: str, up: bool) -> None:
    bed.ip(f"link set dev {link} {'up' if up else 'down'}")
    bed.ns.links[link].set_up(up)


STEPS: list[Callable[[Testbed], None]] = [
    lambda bed: bed.add_address("a", "10.1.0.1/24"),
    lambda bed: bed.add_address("a", "10.1.0.2/24"),
    lambda bed: bed.add_address("a", "10.1.0.3/32"),
    lambda bed: bed.add_address("b", "10.1.0.4/24"),
    lambda bed: bed.add_address("b", "10.3.0.0/31"),
    lambda bed: bed.add_address("b", "10.4.0.1/30"),
    lambda bed: bed.add_route("default", via="10.1.0.9"),
    lambda bed: bed.add_route("192.0.2.0/24", via="10.4.0.2", metric=100),
    lambda bed: bed.add_route("192.0.2.0/24", link="a"),
    lambda bed: bed.add_route("198.51.100.0/24", kind="unreachable"),
    lambda bed: bed.add_route("203.0.113.7/32", link="b", source="10.1.0.1", mtu=1400),
    lambda bed: remove(bed, "a", "10.1.0.1/24"),
    lambda bed: set_up(bed, "b", False),
    lambda bed: set_up(bed, "b", True),
    lambda bed: bed.add_address("lo", "10.96.0.10/32"),
    lambda bed: remove(bed, "b", "10.4.0.1/30"),
    lambda bed: set_up(bed, "a", False),
    lambda bed: remove(bed, "a", "10.1.0.3/32"),
    lambda bed: set_up(bed, "a", True),
]


def test_tables_agree_after_every_change() -> None:
    with Testbed() as bed:
        bed.add_link("a", A_MAC)
        bed.add_link("b", B_MAC)
        for step in STEPS:
            step(bed)
            assert_same(bed)


@pytest.mark.parametrize(
    ("words", "route"),
    [
        ("192.0.2.0/24 via 10.99.0.1", Route(0xC0000200, 24, gateway=ipv4_to_int("10.99.0.1"))),
        ("192.0.2.0/24 via 10.1.0.7 src 10.9.9.9", Route(0xC0000200, 24, gateway=0x0A010007, source=0x0A090909)),
        ("10.1.0.0/24 dev a proto kernel scope link", Route(0x0A010000, 24, scope=Scope.LINK, protocol="kernel")),
    ],
)
def test_what_ip_refuses_is_refused(words: str, route: Route) -> None:
    with Testbed() as bed:
        link = bed.add_link("a", A_MAC)
        bed.add_address("a", "10.1.0.1/24")
        if not route.gateway:
            route = Route(route.destination, route.prefix_length, link=link, scope=route.scope, protocol="kernel")
        with pytest.raises(AssertionError) as real:
            bed.ip(f"route add {words}")
        with pytest.raises(RouteError) as emulated:
            bed.ns.fib.add(route)
        assert str(emulated.value) in str(real.value)


def test_lookups_agree_with_ip_route_get() -> None:
    with Testbed() as bed:
        bed.add_link("a", A_MAC)
        bed.add_link("b", B_MAC)
        bed.add_address("a", "10.1.0.1/24")
        bed.add_address("b", "10.2.0.1/24")
        bed.add_address("b", "10.2.0.2/24")
        bed.add_route("default", via="10.1.0.9")
        bed.add_route("192.0.2.0/24", via="10.2.0.9")
        bed.add_route("192.0.2.128/25", via="10.1.0.9", source="10.2.0.2")
        bed.add_route("203.0.113.0/24", via="10.2.0.9", table=77)
        bed.add_route("203.0.113.0/24", kind="throw", table=78)
        for priority, words, rule in (
            (100, "from 10.2.0.1 lookup 77", Rule(100, 77, source=(ipv4_to_int("10.2.0.1"), 32))),
            (101, "fwmark 0x5/0xf lookup 77", Rule(101, 77, mark=5, mask=15)),
            (102, "to 203.0.113.9 lookup 78", Rule(102, 78, destination=(ipv4_to_int("203.0.113.9"), 32))),
        ):
            bed.ip(f"rule add priority {priority} {words}")
            bed.ns.fib.add_rule(rule)
        assert [rule.format() for rule in bed.ns.fib.rules] == [line.strip() for line in bed.ip("rule").splitlines()]
        for destination in ("10.1.0.5", "10.2.0.5", "192.0.2.1", "192.0.2.200", "203.0.113.9", "8.8.8.8", "10.2.0.1"):
            for source, mark in (("", 0), ("10.2.0.1", 0), ("", 0x25)):
                words = (
                    f"route get {destination}"
                    + (f" from {source}" if source else "")
                    + (f" mark {mark}" if mark else "")
                )
                decision = bed.ns.routing.output(
                    ipv4_to_int(destination), saddr=ipv4_to_int(source) if source else 0, mark=mark
                )
                assert shown(decision, source) == real_choice(bed.ip(words), source), words


def shown(decision: Decision, source: str) -> tuple[str, str, str]:
    assert isinstance(decision, RouteResult)
    gateway = format_ipv4(decision.gateway) if decision.gateway else ""
    return (
        gateway,
        "lo" if decision.type is RouteType.LOCAL else decision.link.name,
        source or format_ipv4(decision.source),
    )


def real_choice(text: str, source: str) -> tuple[str, str, str]:
    words = text.split()

    def after(word: str) -> str:
        return words[words.index(word) + 1] if word in words else ""

    return after("via"), after("dev"), source or after("src")
