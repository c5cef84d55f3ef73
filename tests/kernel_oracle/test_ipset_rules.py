"""`-m set` and `-j SET` against the real kernel: every type, direction, timeouts, counters, exceptions, swaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import SYN
from tests.kernel_oracle.ipset_bed import SetBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER = "10.0.1.2", "10.0.2.2"
ELEMENTS = {
    "hash:ip": (CLIENT, SERVER),
    "hash:ip netmask 24": ("10.0.2.0",),
    "hash:ip bitmask 255.0.0.255": ("10.9.9.2",),
    "hash:net": ("10.0.1.0/24", "10.0.0.0/8", "10.0.1.2/31 nomatch", "10.0.2.3 nomatch"),
    "hash:ip,port": (f"{CLIENT},4000", f"{SERVER},udp:53", f"{SERVER},icmp:8/0", f"{CLIENT},sctp:7", f"{SERVER},gre:0"),
    "hash:ip,port netmask 16": ("10.0.0.0,tcp:80", "10.0.0.0,udp:53"),
    "hash:ip,port,ip": (f"{SERVER},tcp:80,{CLIENT}", f"{CLIENT},udp:53,{CLIENT}", f"{CLIENT},icmp:ping,{SERVER}"),
    "hash:ip,port,net": (f"{SERVER},80,10.0.0.0/8", f"{SERVER},80,10.0.1.2 nomatch", f"{CLIENT},udp:53,10.0.2.0/24"),
    "hash:net,port": ("10.0.0.0/8,tcp:80", "10.0.1.0/24,80 nomatch", "10.0.2.0/24,icmp:8/0", "10.0.2.0/24,gre:0"),
    "hash:net,iface": ("10.0.1.0/24,a", "10.0.0.0/8,b", "10.0.1.2,c", "10.0.2.0/24,a nomatch", "10.0.2.2,b"),
    "bitmap:ip range 10.0.0.0/22": (CLIENT, "10.0.2.0-10.0.2.2"),
    "bitmap:ip range 10.0.0.0/8 netmask 24": ("10.0.2.9",),
    "bitmap:port range 0-4000": ("80", "4000", "53"),
}  # fmt: skip


@pytest.fixture
def bed() -> Iterator[SetBed]:
    with SetBed() as testbed:
        yield testbed


def create(kind: str, elements: Iterable[str]) -> str:
    initval = "" if kind.startswith("bitmap") else " initval 7"
    return f"create x {kind} counters{initval}\n" + "".join(f"add x {element}\n" for element in elements)


def rules(*lines: str, table: str = "filter") -> str:
    return f"*{table}\n" + "".join(f"-A {line}\n" for line in lines) + "COMMIT\n"


def packets() -> list[bytes]:
    """One packet of each kind that elements tell apart."""
    gre = wire.ip(CLIENT, SERVER, 47, b"\0\0\x08\0" + bytes(24))
    sctp = wire.ip(CLIENT, SERVER, 132, bytes.fromhex("0007003500000000") + bytes(24))
    later = bytearray(wire.udp(CLIENT, 4000, SERVER, 53, b"x" * 64))
    later[6:8] = (100).to_bytes(2, "big")
    later[10:12] = b"\0\0"
    total = sum(int.from_bytes(later[at : at + 2], "big") for at in range(0, 20, 2))
    later[10:12] = (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return [
        wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1),
        wire.tcp("10.0.1.3", 4000, SERVER, 80, SYN, 1),
        wire.tcp(CLIENT, 80, "10.0.2.3", 4000, SYN, 1),
        wire.udp(CLIENT, 53, SERVER, 53),
        wire.udp("10.0.1.9", 4000, "10.0.2.9", 53),
        wire.echo(CLIENT, SERVER, 7),
        wire.echo(CLIENT, SERVER, 7, reply=True),
        gre,
        sctp,
        bytes(later),
    ]


@pytest.mark.parametrize("kind", ELEMENTS)
def test_what_matches_each_type(bed: SetBed, kind: str) -> None:
    name = kind.split()[0]
    bed.ipset(create(kind, ELEMENTS[kind]))
    dimension = name.count(",") + 1
    directions = [",".join(each) for count in range(1, dimension + 2) for each in product(("src", "dst"), repeat=count)]
    flags = ("", " --return-nomatch", " ! --update-counters")
    bed.build(
        rules(
            *(f"FORWARD -m set --match-set x {each}{flag}" for each in directions for flag in flags),
            *(f"FORWARD -m set ! --match-set x {each}" for each in directions),
        )
    )
    for packet in packets():
        bed.send(("a", packet))
    bed.compare_counters("filter")
    bed.compare_sets()


@pytest.mark.parametrize("kind", ELEMENTS)
@pytest.mark.parametrize("known", [False, True], ids=["empty", "filled"])
def test_what_is_added_and_deleted_of_each_type(bed: SetBed, kind: str, known: bool) -> None:
    name = kind.split()[0]
    bed.ipset(create(f"{kind} timeout 1000 comment", ELEMENTS[kind] if known else ()))
    dimension = name.count(",") + 1
    bed.build(
        rules(
            f"PREROUTING -j SET --add-set x {','.join(['src', 'dst', 'src'][:dimension])}",
            f"PREROUTING -i b -j SET --del-set x {','.join(['src'] * dimension)}",
            f"POSTROUTING -j SET --add-set x {','.join(['dst'] * dimension)} --exist --timeout 700",
            f"POSTROUTING -j SET --del-set x {','.join(['dst', 'src', 'dst'][:dimension])}",
            table="mangle",
        )
    )
    for packet in packets():
        bed.send_and_compare(("a", packet))
        bed.send_and_compare(("a", packet))
    for packet in packets():
        bed.send_and_compare(("b", packet))


def test_counters_are_tested_before_they_count(bed: SetBed) -> None:
    bed.ipset("create x hash:ip counters initval 1\nadd x 10.0.1.2\ncreate y hash:ip initval 1\nadd y 10.0.1.2\n")
    tests = (
        "--packets-eq 1",
        "! --packets-eq 1",
        "--packets-lt 2",
        "--packets-gt 1",
        "--bytes-gt 100",
        "--bytes-lt 99",
    )
    bed.build(
        rules(
            *(f"FORWARD -m set --match-set {name} src {test} ! --update-counters" for test in tests for name in "xy"),
            *(f"FORWARD -m set ! --match-set x src {test} ! --update-counters" for test in tests),
            "FORWARD -m set --match-set x src --packets-lt 4 --bytes-lt 1000",
            "FORWARD -m set --match-set x src ! --packets-eq 2",
        )
    )
    for _ in range(6):
        bed.send_and_compare(("a", wire.udp(CLIENT, 1, SERVER, 2)))
    bed.compare_counters("filter")


def test_lists_of_sets(bed: SetBed) -> None:
    bed.ipset(
        "create n hash:net counters initval 1\nadd n 10.0.1.0/24\nadd n 10.0.1.2 nomatch\n"
        "create i hash:ip counters initval 1\nadd i 10.0.1.2\nadd i 10.0.1.3\n"
        "create p hash:ip,port counters initval 1\nadd p 10.0.1.4,udp:1\n"
        "create l list:set counters\nadd l n\nadd l i\nadd l p\n"
        "create t hash:ip counters timeout 9 initval 1\ncreate m list:set\nadd m p\nadd m t\n"
    )
    flags = (
        "",
        " --return-nomatch",
        " ! --update-counters",
        " ! --update-subcounters",
        " ! --update-counters ! --update-subcounters",
        " --packets-gt 3",
        " --packets-lt 3 ! --update-subcounters",
    )
    lines = [
        f"FORWARD -m set {sign}--match-set l {way}{flag}"
        for flag in flags
        for way in ("src", "src,src")
        for sign in ("", "! ")
    ]
    bed.build(rules(*lines, "FORWARD -j SET --add-set m src,dst", "FORWARD -i b -j SET --del-set m src,dst"))
    for host in (2, 3, 4, 5, 2, 3, 4, 5):
        for link in ("a", "b"):
            bed.send_and_compare((link, wire.udp(f"10.0.1.{host}", 1, SERVER, 2)))
    bed.compare_counters("filter")


def test_a_swap_changes_what_rules_and_lists_see(bed: SetBed) -> None:
    bed.ipset(
        "create x hash:ip counters initval 1\nadd x 10.0.1.2\ncreate y hash:ip counters initval 1\nadd y 10.0.1.3\n"
        "create l list:set\nadd l x\n"
    )
    bed.build(rules("FORWARD -m set --match-set x src", "FORWARD -m set --match-set l src"))
    for _ in range(2):
        for host in (2, 3):
            bed.send_and_compare(("a", wire.udp(f"10.0.1.{host}", 1, SERVER, 2)))
        bed.ipset("swap x y\n")
    bed.compare_counters("filter")
    for text in ("destroy x\n", "rename x z\n", "rename y x\n"):
        bed.ipset_fails(text)
    bed.restore(rules("FORWARD -m set --match-set l src"))
    bed.ipset_fails("destroy x\n")
    bed.ipset("flush l\n")
    bed.ipset("destroy x\nrename y x\n")
    bed.compare_sets()


def test_an_element_is_gone_when_its_time_is_over(bed: SetBed) -> None:
    bed.ipset(
        "create x hash:ip timeout 2 initval 1\nadd x 10.0.1.2\nadd x 10.0.1.3 timeout 0\nadd x 10.0.1.4 timeout 60\n"
    )
    bed.ipset(
        "create y bitmap:port range 1-9 timeout 2\nadd y 1\nadd y 2 timeout 0\ncreate l list:set timeout 2\nadd l x\n"
    )
    bed.build(
        rules(
            *(f"FORWARD -m set --match-set {each}" for each in ("x src", "y src", "l src")),
            "FORWARD -j SET --add-set y dst",
        )
    )

    def send() -> None:
        for host, port in ((2, 1), (3, 2), (4, 3)):
            bed.send_and_compare(("a", wire.udp(f"10.0.1.{host}", port, SERVER, 5)))

    send()
    bed.advance(1.0)
    send()
    bed.advance(1.5)
    send()
    bed.advance(1.0)
    send()
    bed.compare_counters("filter")


def test_a_rule_finds_no_room_in_a_full_bucket_or_set(bed: SetBed) -> None:
    sets = {"bucket": "hashsize 64 bucketsize 2", "full": "maxelem 20", "forced": "maxelem 20 hashsize 64 forceadd"}
    bed.ipset("".join(f"create {name} hash:ip,port {options} counters initval 5\n" for name, options in sets.items()))
    bed.build(rules(*(f"FORWARD -j SET --add-set {name} src,src" for name in sets)))
    bed.send(*(("a", wire.udp(CLIENT, port, SERVER, 9)) for port in range(1, 400)))
    bed.compare_sets()
    bed.ipset("add bucket 1.1.1.1,1-50\ndel full 10.0.1.2,udp:1-5\n")
    bed.compare_sets()
    bed.send(*(("a", wire.udp(CLIENT, port, SERVER, 9)) for port in range(400, 450)))
    bed.compare_sets()


def test_marks_from_a_set(bed: SetBed) -> None:
    bed.ipset("create x hash:net skbinfo initval 1\nadd x 10.0.0.0/8 skbmark 0x10/0xf0\nadd x 10.0.1.2 skbmark 0x3\n")
    bed.build(
        rules(
            "FORWARD -j MARK --set-mark 0xabcd",
            "FORWARD -j SET --map-set x src --map-mark",
            *(f"FORWARD -m mark --mark {mark:#x}" for mark in (0x3, 0xAB1D, 0xABCD)),
            table="mangle",
        )
    )
    for host in ("10.0.1.2", "10.0.1.3", "11.0.0.1"):
        bed.send(("a", wire.udp(host, 1, SERVER, 2)))
    bed.compare_counters("mangle")


def test_the_hairpin_rule_of_kube_proxy(bed: SetBed) -> None:
    bed.ipset("create KUBE-LOOP-BACK hash:ip,port,ip initval 1\nadd KUBE-LOOP-BACK 10.0.1.2,tcp:8080,10.0.1.2\n")
    bed.build(
        rules("PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.0.1.2:8080",
              "POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE", table="nat")
    )  # fmt: skip
    bed.send(("a", wire.tcp(CLIENT, 4000, "10.96.0.1", 80, SYN, 1)))
    bed.send(("a", wire.tcp("10.0.1.3", 4000, "10.96.0.1", 80, SYN, 1)))
    bed.compare_counters("nat")
