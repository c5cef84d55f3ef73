"""`ip rule` against the real tool and kernel: every line prints the same, ends alike and leaves the same rules."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Testbed
from tests.kernel_oracle.ip_command import check, ours, real

pytestmark = pytest.mark.kernel

LINES = """
ip rule add foo
ip rule add from
ip rule add from x
ip rule add fwmark x
ip rule add fwmark 1/x
ip rule add table foo
ip rule add table 0
ip rule add priority x
ip rule add tos x
ip rule add tos AF11
ip rule add tos 0x10
ip rule add tos 10
ip rule add tos 1
ip rule add tos 255
ip rule add ipproto foo
ip rule add ipproto 200
ip rule add ipproto esp
ip rule add sport 5
ip rule add sport 9-3
ip rule add dport 70000
ip rule add dport 65535
ip rule add dport 0
ip rule add dport 1-65534
ip rule add dport x
ip rule add uidrange 5
ip rule add uidrange 9-3
ip rule add uidrange 1-2
ip rule add goto x
ip rule add goto 5 prio 10
ip rule add goto 10 prio 10
ip rule add goto 40000 prio 11 table 5
ip rule add suppress_prefixlength x
ip rule add suppress_prefixlength 40
ip rule add sup_pl 3
ip rule add suppress_ifgroup default
ip rule add suppress_ifgroup foo
ip rule add from 1.2.3.4/24 lookup 9
ip rule add from 1.2.3.0/24 lookup 9 prio 700
ip rule add from 1.2.3.0/24 lookup 9 prio 700
ip rule add from 1.2.3.0/24 lookup 9 prio 700 proto static
ip rule add not from 1.2.3.0/24 lookup 9 prio 700
ip rule add to 1.2.3.0/24 lookup 9 prio 700
ip rule add from 0/0 lookup 9 prio 701
ip rule add from default lookup 9 prio 702
ip rule add from any lookup 9 prio 703
ip rule add from all lookup 9 prio 704
ip rule add iif a dev b
ip rule add iif thisnameiswaytoolong
ip rule add oif thisnameiswaytoolong
ip rule add oif a fwmark 0 table 9
ip rule add fwmark 0/0 table 9
ip rule add fwmark 5/0 table 9
ip rule add fwmark 0/5 table 9
ip rule add fwmark 0x10 table 9
ip rule add proto bgp
ip rule add protocol 77
ip rule add protocol 400
ip rule add type blackhole
ip rule add type foo
ip rule add lookup 9 lookup 10
ip rule add not
ip rule add to 9.9.9.9 reject
ip rule add to 9.9.9.9 unicast
ip rule add from 4.4.4.4 blackhole table 7
ip rule add from 4.4.4.5 prohibit
ip rule add from 4.4.4.6 unreachable iif nope
ip rule add from 4.4.4.7 nop
ip rule
ip -j rule
ip -d rule
ip -j -d rule
ip rule del prio 700
ip rule del prio 701
ip rule del prio 701
ip rule del from 9.8.7.6
ip rule del lookup 9
ip rule del
ip rule del goto 5
ip rule del fwmark 5
ip rule del fwmark 16
ip rule del nop
ip rule del not from 1.2.3.4/24
ip rule show prio 0
ip rule show from 1.2.3.4
ip rule list table main
ip rule show lookup 9
ip rule show foo
ip rule flush table 9
ip rule
ip rule flush
ip rule
ip rule foo
ip rule help
ip rule add prio 5
ip rule add lookup main prio 5
ip rule
ip rule del from all
ip rule
ip rule add lookup local
ip rule
""".strip().splitlines()


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        testbed.add_link("a", "02:00:00:00:00:0a")
        testbed.add_link("b", "02:00:00:00:00:0b")
        yield testbed


def test_each_line_does_and_says_the_same(bed: Testbed) -> None:
    for line in LINES:
        check(bed, line)


def draw_rule(source: random.Random) -> str:
    words = []
    choices = {
        "not": [""],
        "from": ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "all"],
        "to": ["192.0.2.0/24", "192.0.2.1"],
        "fwmark": ["1", "1/3", "0/7", "0x20/0xf0"],
        "iif": ["a", "lo", "gone"],
        "oif": ["b"],
        "tos": ["0x10", "8"],
        "ipproto": ["tcp", "udp", "1"],
        "sport": ["53", "1000-2000"],
        "dport": ["80", "80-90"],
        "uidrange": ["0-10"],
        "suppress_prefixlength": ["0", "8"],
        "proto": ["static", "bgp"],
        "prio": ["100", "200", "300", "32766"],
    }
    for name, values in choices.items():
        if source.random() < 0.2:
            words += [name, source.choice(values)]
    actions = ["lookup 7", "lookup main", "table 9", "blackhole", "unreachable", "prohibit", "nop", "goto 300", ""]
    action = source.choice(actions)
    return " ".join([*words, action])


@pytest.mark.parametrize("seed", range(4))
def test_drawn_rules_come_and_go_alike(bed: Testbed, seed: int) -> None:
    source = random.Random(seed)
    added = []
    for _ in range(60):
        if added and source.random() < 0.35:
            words = source.choice(added).split()
            if words and source.random() < 0.5:
                del words[source.randrange(0, len(words), 2) :]
            line = "ip rule del " + " ".join(words or ["prio", "100"])
        else:
            added.append(draw_rule(source))
            line = f"ip rule add {added[-1]}"
        assert ours(bed.ns, line) == real(bed, line), line
    check(bed, "ip rule")
    check(bed, "ip -j -d rule")
