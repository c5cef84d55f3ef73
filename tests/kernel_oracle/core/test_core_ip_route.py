"""`ip route` against the real tool and kernel: every line prints the same, ends alike and leaves the same tables."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Testbed
from tests.kernel_oracle.ip_command import check, ours, real

pytestmark = pytest.mark.kernel

LINES = """
ip route add
ip route add 10.1.0.0/16
ip route add 10.1.1.0/16 dev a
ip route add 10.1.0.0/16 via 10.0.0.5
ip route add 10.1.0.0/16 via 10.0.0.5
ip route add 10.1.0.0/16 via 10.0.0.6
ip route append 10.1.0.0/16 via 10.0.0.6
ip route append 10.1.0.0/16 via 10.0.0.6
ip route prepend 10.1.0.0/16 via 10.0.0.7
ip route prepend 10.1.0.0/16 via 10.0.0.7
ip route replace 10.1.0.0/16 via 10.0.0.8
ip route change 10.1.0.0/16 via 10.0.0.9
ip route change 10.99.0.0/16 via 10.0.0.9
ip route test 10.1.0.0/16 via 10.0.0.9
ip route replace 10.1.0.0/16 via 10.0.0.6
ip route show
ip route add 10.2.0.0/16 via 10.0.0.5 dev b
ip route add 10.2.0.0/16 via 10.0.0.5 dev nope
ip route add 10.2.0.0/16 via 77.0.0.5 dev b onlink
ip route add 10.2.0.0/16 via 10.0.0.1 dev a
ip route add 10.2.0.0/16 via 10.0.0.255
ip route add 10.2.0.0/16 dev b onlink
ip route add 10.2.0.0/16 dev b metric x
ip route add 10.2.0.0/16 dev b mtu x
ip route add 10.2.0.0/16 dev b proto foo
ip route add 10.2.0.0/16 dev b scope foo
ip route add 10.2.0.0/16 dev b table foo
ip route add 10.2.0.0/16 dev b table 70000
ip route add 10.2.0.0/16 dev b src x
ip route add 10.2.0.0/16 dev b src 1.2.3.4
ip route add 10.2.0.0/16 dev b tos x
ip route add 10.2.0.0/16 dev b tos 3
ip route add 10.2.0.0/16 dev b tos 0x28 proto bgp
ip route add 10.2.0.0/16 dev b garbage
ip route add 10.2.0.0/16 10.3.0.0/16 dev b
ip route add 10.2.0.0/16 dev b weight 3
ip route add 10.2.0.0/16 nexthop
ip route add 10.2.0.0/16 nexthop via
ip route add 10.2.0.0/16 nexthop via 10.0.0.5 weight 0
ip route add 10.2.0.0/16 nexthop via 10.0.0.5 weight 257
ip route add 10.2.0.0/16 nexthop via 10.0.0.5 weight 256
ip route add 10.4.0.0/16 nexthop via 10.0.0.5 foo
ip route add 10.4.0.0/16 nexthop dev a weight 3 nexthop dev b
ip route add 10.5.0.0/16 nexthop via 10.0.0.5 dev a onlink nexthop via 10.0.0.6 weight 2
ip route add 10.5.0.0/16 nexthop via 99.0.0.5 nexthop via 10.0.0.6 weight 2
ip route add blackhole 10.6.0.0/16
ip route add blackhole 10.6.0.0/16 dev a
ip route add unreachable 10.6.1.0/24 metric 7
ip route add prohibit 10.6.2.0/24 table 9
ip route add throw 10.6.3.0/24 table 9
ip route add local 10.6.4.0/24 dev lo
ip route add broadcast 10.6.5.255 dev a
ip route add local 10.6.6.0/24 dev lo table 9
ip route add multicast 239.0.0.0/8 dev a
ip route add default dev b metric 100
ip route add 0/0 dev b metric 101
ip route add 10.7/16 dev b
ip route add 10.8.0.1 dev b mtu 1400
ip route add 10.8.0.2 dev b mtu lock 1400 window 5 rtt 1s rttvar 3 ssthresh 4 cwnd lock 9 advmss 4 reordering 5 \
hoplimit 3 initcwnd 4 rto_min 200ms initrwnd 5 quickack 1 congctl reno fastopen_no_cookie 1
ip route add 10.8.0.3 dev b features ecn
ip route add 10.8.0.3 dev b features foo
ip route add 10.8.0.4 dev b congctl lock cubic
ip route add 10.8.0.5 dev b congctl foo
ip route add 10.8.0.5 dev b rtt 10 rto_min 5s
ip route add 10.8.0.6 dev b hoplimit 300
ip route add 10.8.0.7 dev b mtu 70000
ip route add 10.8.0.10 dev b proto kernel scope host
ip route add 10.8.0.11 dev b scope nowhere
ip route add 10.8.0.11 via 10.0.0.5 scope link
ip route add 10.8.0.11 via 10.0.0.5 scope site
ip route add 10.8.0.13 via inet 10.0.0.5 dev a
ip route show
ip route show table all
ip -j route show table all
ip -d route show table 9
ip -d -j route show table 9
ip route show table 9
ip route show table 10
ip route show table foo
ip route show dev b
ip route show dev nope
ip route show proto kernel
ip route show scope link
ip route show type blackhole
ip route show root 10.8.0.0/16
ip route show match 10.8.0.2
ip route show exact 10.6.0.0/16
ip route show 10.6.0.0/16
ip route show 10.8.0.1
ip route show default
ip route show via 10.0.0.5
ip route show src 10.0.0.1
ip route show metric 7
ip route show tos 0x28
ip route show foo
ip route show cache
ip route list table local
ip route get 10.1.0.5
ip route get 10.6.0.5
ip route get 10.6.1.5
ip route get 10.6.4.5
ip route get 99.1.1.1
ip -j route get 99.1.1.1
ip -j route get 10.0.0.1
ip route get 10.0.0.255
ip route get 239.1.1.1
ip -j route get 239.1.1.1
ip route get 99.1.1.1 from 10.0.0.1
ip route get 99.1.1.1 from 10.0.0.77
ip route get 99.1.1.1 from 10.0.0.77 iif a
ip route get 10.0.0.1 from 10.0.0.77 iif a
ip route get 10.0.0.1 from 10.9.0.77 iif a
ip -j route get 10.0.0.1 from 10.0.0.77 iif a
ip route get 99.1.1.1 oif a
ip route get 99.1.1.1 oif nope
ip route get 99.1.1.1 mark 5
ip -j route get 99.1.1.1 mark 5
ip route get 99.1.1.1 tos 0x10
ip route get 99.1.1.1 ipproto udp sport 4 dport 5
ip route get 99.1.1.1 uid 77
ip route get fibmatch 99.1.1.1
ip -j route get fibmatch 99.1.1.1
ip route get fibmatch 10.4.0.7
ip route get 10.4.0.7
ip route get 10.8.0.1
ip route get 10.8.0.2
ip -j route get 10.8.0.2
ip route get 10.2.0.1 tos 0x28
ip route get
ip route get foo
ip route get 99.1.1.1 foo
ip route get 10.0.0.0/24
ip route del
ip route del 10.1.0.0/16 via 10.0.0.99
ip route del 10.1.0.0/16 dev b
ip route del 10.1.0.0/16
ip route del 10.6.0.0/16
ip route del 10.4.0.0/16 nexthop dev a weight 3 nexthop dev b
ip route del 10.5.0.0/16 nexthop via 10.0.0.6 weight 2 nexthop via 10.0.0.5
ip route del 10.5.0.0/16 dev a
ip route del 10.8.0.1 proto static
ip route del 10.8.0.1 mtu 1500
ip route del 10.8.0.1 mtu 1400
ip route del 10.2.0.0/16
ip route del default metric 101
ip route del 10.6.2.0/24 table 9
ip route del local 10.6.4.0/24
ip route flush
ip route flush table 9
ip route flush dev b
ip route
ip route foo
ip route flush cache
ip route flush 10.1.0.0/16
ip route flush proto kernel
ip route
""".strip().splitlines()


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        testbed.add_link("a", "02:00:00:00:00:0a")
        testbed.add_link("b", "02:00:00:00:00:0b")
        for link, address in (("a", "10.0.0.1/24"), ("b", "10.9.0.1/24")):
            check(testbed, f"ip addr add {address} dev {link}")
        testbed.set_sysctl("net.ipv4.fib_multipath_hash_seed", 5)
        yield testbed


def test_each_line_does_and_says_the_same(bed: Testbed) -> None:
    for line in LINES:
        check(bed, line)


def draw_way(source: random.Random) -> str:
    choices = ["via 10.0.0.{}", "via 10.9.0.{}", "via 10.0.0.{} dev a", "dev a", "dev b", "via 99.0.0.{} dev b onlink"]
    return source.choice([*choices, "via 10.77.0.{}", "via 10.9.0.{} dev a"]).format(source.randrange(2, 5))


def draw_route(source: random.Random) -> str:
    kind = source.choice([""] * 9 + ["blackhole", "unreachable", "prohibit", "throw", "local", "broadcast"])
    prefixes = ["default", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/24", "10.1.0.7", "192.0.2.0/24", "0.0.0.0/8"]
    words = [kind, source.choice(prefixes)]
    options = {
        "metric": ["5", "100"],
        "table": ["7", "main", "default", "local", "300"],
        "proto": ["static", "kernel", "bgp", "77"],
        "scope": ["link", "global", "site", "host"],
        "src": ["10.0.0.1", "10.9.0.1", "10.9.9.9"],
        "tos": ["0x10", "4"],
        "mtu": ["1400", "lock 1300"],
        "advmss": ["1000"],
        "rtt": ["30ms"],
        "hoplimit": ["9"],
        "congctl": ["cubic"],
    }
    for name, values in options.items():
        if source.random() < 0.15:
            words += [name, source.choice(values)]
    if kind not in {"blackhole", "unreachable", "prohibit", "throw"}:
        if source.random() < 0.25:
            hops = [
                f"nexthop {draw_way(source)} weight {source.randrange(1, 5)}" for _ in range(source.randrange(1, 4))
            ]
            words += hops
        else:
            words.append(draw_way(source))
    return " ".join(words)


@pytest.mark.parametrize("seed", range(8))
def test_drawn_routes_come_and_go_alike(bed: Testbed, seed: int) -> None:
    source = random.Random(seed)
    added: list[str] = []
    for _ in range(80):
        if added and source.random() < 0.3:
            line = f"ip route del {source.choice(added)}"
        else:
            added.append(draw_route(source))
            command = source.choice(["add", "add", "append", "prepend", "replace", "change"])
            line = f"ip route {command} {added[-1]}"
        assert ours(bed.ns, line) == real(bed, line), line
        if source.random() < 0.05:
            link, state = source.choice("ab"), source.choice(["up", "down"])
            for command in (f"ip link set dev {link} down", f"ip link set dev {link} {state}"):
                check(bed, command)
    check(bed, "ip route show table all")
    check(bed, "ip -j -d route show table all")
    for destination in (
        "10.1.0.7",
        "10.1.0.9",
        "10.1.9.9",
        "10.9.0.9",
        "192.0.2.1",
        "0.0.0.9",
        "10.0.0.255",
        "8.8.8.8",
    ):
        for more in ("", "tos 0x10", "oif b", "from 10.9.0.1", "fibmatch", "from 10.0.0.77 iif a"):
            words = f"{more} {destination}" if more == "fibmatch" else f"{destination} {more}"
            check(bed, f"ip route get {words}")
