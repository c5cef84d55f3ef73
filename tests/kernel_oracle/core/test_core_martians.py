"""Who may send to whom: every class of source and destination under every sysctl that has a say, against the kernel.

What comes out is compared byte for byte, and the reason for each drop with that of the kernel's own tracepoint.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.fib import Rule
from emulator.kernel.routing.fib_rule import RuleAction
from emulator.packet.address import ipv4_to_int
from tests.kernel_oracle.drop_trace import DropTrace, drop_trace
from tests.kernel_oracle.harness import Testbed, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

A_MAC, B_MAC, CLIENT_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:01:01"
BROADCAST_MAC, GROUP_MAC = "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"

SOURCES = {
    "a neighbour": "10.1.0.2",
    "behind a gateway": "172.16.0.5",
    "at another link": "10.2.0.50",
    "without a way back": "192.0.2.9",
    "an own address": "10.1.0.1",
    "another link's own": "10.2.0.1",
    "a local route's": "10.77.0.3",
    "loopback": "127.0.0.1",
    "zero": "0.0.0.0",
    "zero network": "0.0.0.9",
    "group": "224.0.0.5",
    "limited broadcast": "255.255.255.255",
    "own broadcast": "10.1.0.255",
    "another broadcast": "10.2.0.255",
    "reserved": "240.0.0.1",
    "blackholed": "198.51.100.7",
    "unreachable": "198.51.101.7",
}
# The two that ip_error answers come first, while its bucket for the source is full.
DESTINATIONS = {
    "prohibited": "198.51.102.1",
    "without a route": "240.0.0.9",
    "forwarded": "10.2.0.2",
    "back out": "172.16.0.9",
    "here": "10.1.0.1",
    "here, elsewhere": "10.2.0.1",
    "loopback": "127.0.0.1",
    "zero": "0.0.0.0",
    "limited broadcast": "255.255.255.255",
    "broadcast": "10.1.0.255",
    "another broadcast": "10.2.0.255",
    "all hosts": "224.0.0.1",
}
CONF = "net.ipv4.conf."
SETTINGS: dict[str, dict[str, int]] = {
    "plain": {},
    "strict on the link": {CONF + "a.rp_filter": 1},
    "strict by all": {CONF + "all.rp_filter": 1},
    "loose": {CONF + "a.rp_filter": 2},
    "loose wins over strict": {CONF + "all.rp_filter": 2, CONF + "a.rp_filter": 1},
    "accept_local": {CONF + "a.accept_local": 1},
    "accept_local, strict": {CONF + "all.accept_local": 1, CONF + "a.rp_filter": 1},
    "route_localnet": {CONF + "a.route_localnet": 1},
    "route_localnet by all, strict": {CONF + "all.route_localnet": 1, CONF + "a.rp_filter": 1},
    "no redirects": {CONF + "a.send_redirects": 0, CONF + "all.send_redirects": 0},
    "not forwarding": {"net.ipv4.ip_forward": 0},
    "not forwarding, loose": {"net.ipv4.ip_forward": 0, CONF + "a.rp_filter": 2},
}
OF_OTHERS = ("IP_INADDRERRORS", "IP_LOCALNET")  # why the namespace outside drops our broadcasts
LINUX_NAMES = {DropReason.IP_FORWARDING_OFF: "IP_INADDRERRORS"}
# Those that routing gives; the frames that come out are dropped again, outside, as somebody else's.
BLACKHOLE = RuleAction.BLACKHOLE
COMPARED = frozenset(
    {
        "IP_INADDRERRORS", "IP_INNOROUTES", "IP_INVALID_DEST", "IP_INVALID_SOURCE", "IP_LOCALNET", "IP_LOCAL_SOURCE",
        "IP_RPFILTER",
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def trace() -> Iterator[DropTrace]:
    with drop_trace() as found:
        yield found


def make(settings: dict[str, int], *, local_routes: bool) -> Testbed:
    bed = Testbed()
    bed.__enter__()
    bed.add_link("a", A_MAC)
    bed.add_link("b", B_MAC)
    bed.add_address("a", "10.1.0.1/24")
    bed.add_address("b", "10.2.0.1/24")
    for link, addresses in (("a", ["10.1.0.2", "10.1.0.9"]), ("b", ["10.2.0.2", "10.2.0.50"])):
        bed.add_neighbours(link, addresses, CLIENT_MAC)
    bed.add_route("172.16.0.0/12", via="10.1.0.9")
    bed.add_route("198.51.100.0/24", kind="blackhole")
    bed.add_route("198.51.101.0/24", kind="unreachable")
    bed.add_route("198.51.102.0/24", kind="prohibit")
    if local_routes:
        bed.ip("route add local 10.77.0.0/16 dev lo")
        from tests.kernel_oracle.ip_command import ours

        assert ours(bed.ns, "ip route add local 10.77.0.0/16 dev lo").status == 0
    for name, value in {
        "net.ipv4.ip_forward": 1,
        "net.ipv4.icmp_ratemask": 0,
        **settings,
    }.items():
        bed.set_sysctl(name, value)
    return bed


def frame(source: str, destination: str) -> bytes:
    mac = A_MAC
    if destination in {"255.255.255.255", "10.1.0.255"}:
        mac = BROADCAST_MAC
    elif destination.startswith("224"):
        mac = GROUP_MAC
    return ethernet(mac, CLIENT_MAC, ipv4(source, destination, 17, udp(source, destination, 5, 6)))


def sweep(bed: Testbed, trace: DropTrace) -> set[str]:
    """Send every pair in; return the reasons that both sides gave."""
    seen: set[str] = set()
    differing = []
    bed.advance(0.02)
    for source_class, source in SOURCES.items():
        for class_, destination in DESTINATIONS.items():
            trace.take()
            before = bed.ns.drops.copy()
            sent = bed.compare([("a", frame(source, destination))]).real
            dropped = (bed.ns.drops - before).elements()
            found = [name for reason in dropped if (name := LINUX_NAMES.get(reason, reason.name)) in COMPARED]
            expected = [name for name in trace.take() if name in COMPARED]
            if any(sent_frame[:6] == b"\xff" * 6 for frames in sent.values() for sent_frame in frames):
                expected = [name for name in expected if name not in OF_OTHERS]
            if found != expected:
                differing.append(f"{source_class} -> {class_}: Linux {expected}, ours {found}")
            seen |= set(expected)
    assert not differing, "\n".join(differing)
    return seen


WITH_LOCAL_ROUTES = ("plain", "accept_local", "no redirects")


@pytest.mark.parametrize(
    ("settings", "local_routes"), [(name, False) for name in SETTINGS] + [(name, True) for name in WITH_LOCAL_ROUTES]
)
def test_who_may_send_to_whom(trace: DropTrace, settings: str, local_routes: bool) -> None:
    bed = make(SETTINGS[settings], local_routes=local_routes)
    try:
        seen = sweep(bed, trace)
    finally:
        bed.__exit__(None, None, None)
    assert {"IP_INVALID_SOURCE", "IP_INVALID_DEST"} <= seen
    assert ("IP_RPFILTER" in seen) is any("rp_filter" in name for name in SETTINGS[settings])
    assert ("IP_LOCALNET" in seen) is not any("localnet" in name for name in SETTINGS[settings])


MARK = "*mangle\n-A PREROUTING -s 10.9.0.0/16 -j MARK --set-mark 7\nCOMMIT\n"


@pytest.mark.parametrize("valid_mark", [0, 1])
@pytest.mark.parametrize("rp_filter", [0, 1, 2])
def test_the_way_back_by_policy_rules_and_marks(trace: DropTrace, rp_filter: int, valid_mark: int) -> None:
    """10.9/16 is reached through a only by the rule for its mark; 10.8/16 by one for what comes back in at b."""
    bed = make({CONF + "all.rp_filter": rp_filter, CONF + "a.src_valid_mark": valid_mark}, local_routes=False)
    try:
        bed.add_route("10.9.0.0/16", via="10.1.0.9", table=100)
        bed.add_route("10.8.0.0/16", via="10.1.0.9", table=101)
        for words, rule in (
            ("fwmark 7 lookup 100 priority 50", Rule(50, 100, mark=7, mask=0xFFFFFFFF)),
            ("iif b lookup 101 priority 51", Rule(51, 101, in_link="b")),
            ("from 10.1.0.6 blackhole priority 52", Rule(52, source=(ipv4_to_int("10.1.0.6"), 32), action=BLACKHOLE)),
        ):
            bed.ip(f"rule add {words}")
            bed.ns.fib.add_rule(rule)
        bed.restore(MARK)
        outcomes = []
        for source in ("10.9.0.1", "10.8.0.1", "10.7.0.1", "10.1.0.1", "10.1.0.2", "10.1.0.6"):
            for destination in ("10.2.0.2", "10.2.0.1", "10.1.0.1"):
                trace.take()
                before = bed.ns.drops.copy()
                bed.compare([("a", frame(source, destination))])
                names = [reason.name for reason in (bed.ns.drops - before).elements() if reason.name in COMPARED]
                assert names == [name for name in trace.take() if name in COMPARED], (source, destination)
                outcomes += names
    finally:
        bed.__exit__(None, None, None)
    assert ("IP_RPFILTER" in outcomes) is bool(rp_filter)
