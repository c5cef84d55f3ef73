"""Matches against the real kernel, with packets on both sides of every boundary, by the counters of the rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, SYN
from tests.kernel_oracle.harness import ethernet
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, OWN = "10.0.1.2", "10.0.2.2", "10.0.1.1"


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def table(name: str, *rules: str, chains: tuple[str, ...] = ()) -> str:
    declared = "".join(f":{chain} - [0:0]\n" for chain in chains)
    return f"*{name}\n{declared}" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def in_real_time(play: Callable[[RouterBed], None]) -> None:
    """Play what depends on the real clock, up to three times.

    When the kernel saw a packet is known only to within the time that sending took; on a busy machine that may fall on
    an edge. A true difference comes back each time.
    """
    for tries_left in (2, 1, 0):
        try:
            with RouterBed() as bed:
                play(bed)
            return
        except AssertionError:
            if not tries_left:
                raise


def send_timed(bed: RouterBed, started: float, *packets: tuple[str, bytes]) -> None:
    """Send packets with the emulator's clock at what has passed since `started`, and compare the filter counters."""
    bed.kernel.run(max(bed.kernel.now, time.monotonic() - started))
    bed.compare([(link, ethernet(MACS[link], HOST_MAC, packet)) for link, packet in packets])
    bed.compare_counters("filter")


def counted(bed: RouterBed, name: str, chain: str) -> list[int]:
    return [rule.packets for rule in bed.ns.netfilter.tables[name].chains[chain].rules]


def test_address_ranges(bed: RouterBed) -> None:
    tests = (
        "--src-range 10.0.1.3-10.0.1.5",
        "! --src-range 10.0.1.3-10.0.1.5",
        "--dst-range 10.0.2.3-10.0.2.3",
        "--src-range 10.0.1.5-10.0.1.3",
        "--src-range 10.0.1.3-10.0.1.5 ! --dst-range 10.0.2.4-10.0.2.255",
    )
    bed.build(table("filter", *[f"FORWARD -m iprange {test}" for test in tests]))
    for source in range(2, 7):
        for destination in range(2, 6):
            bed.send(("a", wire.udp(f"10.0.1.{source}", 1, f"10.0.2.{destination}", 2)))
    bed.compare_counters("filter")
    assert counted(bed, "filter", "FORWARD") == [12, 8, 5, 0, 6]


def test_lengths(bed: RouterBed) -> None:
    tests = ("--length 60", "--length 59:61", "! --length 60:61", "--length 61:60", "--length 60:", "--length :60")
    bed.build(table("filter", *[f"FORWARD -m length {test}" for test in tests]))
    for size in range(30, 35):
        bed.send(("a", wire.udp(CLIENT, 1, SERVER, 2, b"x" * size)))
    padded = ethernet(MACS["a"], HOST_MAC, wire.udp(CLIENT, 1, SERVER, 2, b"x")) + bytes(31)
    bed.compare([("a", padded)])
    bed.compare_counters("filter")
    assert counted(bed, "filter", "FORWARD") == [1, 3, 4, 0, 3, 4]


def test_times_to_live(bed: RouterBed) -> None:
    tests = ("--ttl-eq 5", "! --ttl-eq 5", "--ttl-lt 5", "--ttl-gt 5")
    rules = [f"{chain} -m ttl {test}" for chain in ("PREROUTING", "FORWARD") for test in tests]
    bed.build(table("mangle", *rules))
    for ttl in range(3, 9):
        bed.send(("a", wire.udp(CLIENT, 1, SERVER, 2, ttl=ttl)))
    bed.compare_counters("mangle")
    assert counted(bed, "mangle", "FORWARD") == [1, 5, 3, 2]


def test_senders_and_kinds_of_frames(bed: RouterBed) -> None:
    tests = [f"-m mac {test}" for test in (f"--mac-source {HOST_MAC}", f"! --mac-source {HOST_MAC}")]
    tests += [f"-m pkttype {mark}--pkt-type {kind}" for kind in ("unicast", "broadcast", "multicast", "otherhost")
              for mark in ("", "! ")]  # fmt: skip
    rules = [f"{chain} {test}" for chain in ("PREROUTING", "INPUT", "FORWARD") for test in tests]
    own = [f"{chain} {test}" for chain in ("OUTPUT", "POSTROUTING") for test in tests if "pkttype" in test]
    bed.build(table("mangle", *rules, *own))
    to_host = ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", MACS["a"], "02:99:00:00:00:01")
    for target in to_host:
        for sender in (HOST_MAC, "02:aa:00:00:00:03"):
            for destination in ("10.0.1.255", "224.0.0.1", OWN, SERVER):
                bed.compare([("a", ethernet(target, sender, wire.udp(CLIENT, 1, destination, 2)))])
    bed.compare([("a", ethernet(MACS["a"], HOST_MAC, wire.echo(CLIENT, OWN, 1)))])
    bed.compare_counters("mangle")


def test_announced_segment_sizes(bed: RouterBed) -> None:
    tests = ("--mss 1000", "! --mss 1000", "--mss 999:1001", "! --mss 1001:65535", "--mss 0")
    bed.build(table("filter", *[f"FORWARD -p tcp -m tcpmss {test}" for test in tests]))
    options = ("", *(f"0204{size:04x}" for size in (0, 998, 999, 1000, 1001, 1002, 65535)))
    options += ("010103030702040100", "0101020403e80101", "0303070204010000", "02030100", "010203e801010101", "0402")
    for text in options:
        data = bytes.fromhex(text)
        data += bytes(-len(data) % 4)
        bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1, options=data)))
        bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 80, ACK, 1, options=data)))
        bed.compare_counters("filter")


def test_a_cut_tcp_header_is_dropped_by_tcpmss(bed: RouterBed) -> None:
    bed.build(table("filter", "FORWARD -m length --length 0:65535", "FORWARD -p tcp -m tcpmss ! --mss 5", "FORWARD"))
    whole = wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1, options=bytes.fromhex("020405b4"))
    for size in (39, 41, 43):
        cut = bytearray(wire.ip(CLIENT, SERVER, 6, whole[20:size]))
        bed.send(("a", bytes(cut)))
    short = bytearray(whole)
    short[32] = 0x40
    bed.send(("a", bytes(short)))
    bed.compare_counters("filter")
    assert counted(bed, "filter", "FORWARD") == [4, 0, 0]


def test_the_way_back(bed: RouterBed) -> None:
    flags = ("", "--loose", "--validmark", "--accept-local", "--invert", "--loose --validmark", "--loose --invert")
    rules = [f"PREROUTING -m rpfilter {test}" for test in flags]
    marked = ["PREROUTING -p udp -m udp --dport 7 -j MARK --set-xmark 0x7/0xffffffff"]
    bed.build(table("raw", *marked, *rules) + table("mangle", *rules))
    bed.set_sysctl("net.ipv4.conf.all.rp_filter", 0)
    bed.add_route("10.7.0.0/16", via="10.0.2.5", link="b")
    bed.add_route("10.8.0.0/16", kind="blackhole")
    bed.add_route("10.9.0.0/16", kind="unreachable")
    sources = (CLIENT, "10.0.2.3", "10.7.0.1", "10.8.0.1", "10.9.0.1", "192.0.2.1", OWN, "10.0.2.1", "10.0.1.255")
    for link in ("a", "b"):
        for source in (*sources, "0.0.0.0"):
            for destination, port in ((SERVER, 7), (SERVER, 8), (OWN, 7), ("255.255.255.255", 7), ("224.0.0.1", 7)):
                bed.compare([(link, ethernet(MACS[link], HOST_MAC, wire.udp(source, 1, destination, port)))])
                bed.compare_counters("raw")
    bed.compare_counters("mangle")


def test_buckets_by_address_and_port(bed: RouterBed) -> None:
    common = "--hashlimit-upto 1/hour --hashlimit-burst 2"
    modes = ("srcip", "dstip", "srcport", "dstport", "srcip,dstip,srcport,dstport")
    rules = [f"-m hashlimit {common} --hashlimit-mode {mode} --hashlimit-name m{n}" for n, mode in enumerate(modes)]
    rules += [
        f"-m hashlimit {common} --hashlimit-name one",
        "-m hashlimit --hashlimit-above 1/hour --hashlimit-burst 2 --hashlimit-name two --hashlimit-mode srcip",
        f"-m hashlimit {common} --hashlimit-mode srcip --hashlimit-srcmask 30 --hashlimit-name three",
        f"-m hashlimit {common} --hashlimit-mode srcip,dstip --hashlimit-dstmask 0 --hashlimit-name four",
        f"-m hashlimit {common} --hashlimit-name one",  # the same bucket again
        "-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 9 --hashlimit-name one",  # and its rate stays
    ]
    bed.build(table("filter", *[f"FORWARD {rule}" for rule in rules]))
    for round_ in range(3):
        for source in ("10.0.1.2", "10.0.1.3", "10.0.1.4"):
            for destination in ("10.0.2.2", "10.0.2.3"):
                bed.send(("a", wire.udp(source, 1000 + round_ % 2, destination, 53)))
                bed.send(("a", wire.echo(source, destination, 5)))
                bed.compare_counters("filter")


def test_buckets_fill_again_and_expire() -> None:
    """What expires is collected at a time of the kernel's own, so packets come long before or long after it."""
    rules = (
        "--hashlimit-upto 2/sec --hashlimit-burst 1 --hashlimit-name a",
        "--hashlimit-above 2/sec --hashlimit-burst 1 --hashlimit-name b",
        "--hashlimit-upto 2/sec --hashlimit-burst 2 --hashlimit-name c",
        "--hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-name d --hashlimit-htable-expire 1200"
        " --hashlimit-htable-gcinterval 300",
        "--hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-name e --hashlimit-htable-expire 600000",
    )

    def play(bed: RouterBed) -> None:
        bed.build(table("filter", *[f"FORWARD -m hashlimit {rule}" for rule in rules]))
        started = time.monotonic()
        for wait in (0, 0, 0, 0.7, 0, 2.0, 0):
            time.sleep(wait)
            send_timed(bed, started, ("a", wire.udp(CLIENT, 1, SERVER, 2)))
        assert counted(bed, "filter", "FORWARD")[3:] == [2, 1]

    in_real_time(play)


def test_buckets_in_bytes() -> None:
    rules = (
        "--hashlimit-upto 1kb/s --hashlimit-name a",
        "--hashlimit-above 1kb/s --hashlimit-name b",
        "--hashlimit-upto 1kb/s --hashlimit-burst 3kb --hashlimit-name c",
        "--hashlimit-upto 100b/s --hashlimit-name d",
        "--hashlimit-upto 1mb/s --hashlimit-name e",
        "--hashlimit-above 17b/s --hashlimit-name f",
    )

    def play(bed: RouterBed) -> None:
        bed.build(table("filter", *[f"FORWARD -m hashlimit {rule}" for rule in rules]))
        started = time.monotonic()
        for size in (100, 500, 300, 100, 10, 900, 900, 900, 900, 900, 10, 10):
            send_timed(bed, started, ("a", wire.udp(CLIENT, 1, SERVER, 2, b"x" * size)))

    in_real_time(play)


def test_rates_that_are_matched() -> None:
    rules = (
        "--hashlimit-upto 3/sec --hashlimit-burst 2 --hashlimit-name a --hashlimit-rate-match",
        "--hashlimit-above 3/sec --hashlimit-burst 2 --hashlimit-name b --hashlimit-rate-match",
        "--hashlimit-above 1kb/s --hashlimit-name c --hashlimit-rate-match",
        "--hashlimit-above 60/min --hashlimit-burst 1 --hashlimit-name d --hashlimit-rate-match "
        "--hashlimit-rate-interval 1",
    )

    def play(bed: RouterBed) -> None:
        bed.build(table("filter", *[f"FORWARD -m hashlimit {rule}" for rule in rules]))
        started = time.monotonic()
        for count in (7, 2, 4):
            for _ in range(count):
                send_timed(bed, started, ("a", wire.udp(CLIENT, 1, SERVER, 2, b"x" * 200)))
            time.sleep(1.1)

    in_real_time(play)


def test_a_full_table_drops(bed: RouterBed) -> None:
    limit = "--hashlimit-upto 5/sec --hashlimit-mode srcport --hashlimit-htable-size 4 --hashlimit-htable-max 3"
    bed.build(table("filter", f"FORWARD -m hashlimit {limit} --hashlimit-name small", "FORWARD"))
    for port in (1, 2, 3, 4, 5, 1, 6):
        bed.send(("a", wire.udp(CLIENT, port, SERVER, 2)))
        bed.compare_counters("filter")
    bed.send(("a", wire.ip(CLIENT, SERVER, 17, b"cut")))
    bed.compare_counters("filter")
    assert counted(bed, "filter", "FORWARD") == [5, 5]


def test_hits_that_a_list_has_room_for(bed: RouterBed) -> None:
    """An entry keeps 32 stamps, or as many as the most demanding rule at its load wants."""
    rules = (
        "--set --name a",
        "--rcheck --hitcount 20 --name a",
        "--rcheck --hitcount 32 --name a",
        "--set --name b",
        "--rcheck --hitcount 40 --name b",
        "--rcheck --hitcount 5 --name c",
        "--set --name c --rdest",
        "--rcheck --name d --mask 255.255.255.0",
        "--set --name d --mask 255.255.255.0",
    )
    bed.build(table("filter", *[f"FORWARD -m recent {rule}" for rule in rules]))
    for number in range(45):
        bed.compare([("a", ethernet(MACS["a"], HOST_MAC, wire.udp(CLIENT, number, SERVER, 2)))])
    bed.compare_counters("filter")
    assert counted(bed, "filter", "FORWARD") == [45, 26, 14, 45, 6, 0, 45, 44, 45]


def test_chunks_of_sctp(bed: RouterBed) -> None:
    tests = (
        "any INIT,DATA",
        "all INIT,DATA",
        "only DATA",
        "! only DATA,SACK",
        "any DATA:Be",
        "all DATA:B,SACK",
        "any ALL",
        "only ALL",
        "only NONE",
        "any NONE",
        "all NONE",
        "! any ABORT:T",
    )
    rules = [test if test[0] != "!" else test[2:] for test in tests]
    marks = ["! " if test[0] == "!" else "" for test in tests]
    bed.build(
        table("filter", *[f"FORWARD -p sctp -m sctp {mark}--chunk-types {rule}"
                          for mark, rule in zip(marks, rules, strict=True)], "FORWARD")
    )  # fmt: skip

    def chunk(kind: int, flags: int, data: bytes = b"", length: int | None = None) -> bytes:
        size = 4 + len(data) if length is None else length
        return bytes((kind, flags)) + size.to_bytes(2, "big") + data + bytes(-len(data) % 4)

    common = bytes.fromhex("0bb80c1c 00000001 00000000")
    packets = (
        chunk(1, 0, bytes(16)),
        chunk(0, 3, b"data"),
        chunk(0, 2, b"data12"),
        chunk(0, 0, b"d") + chunk(3, 0, bytes(12)),
        chunk(3, 0, bytes(12)) + chunk(0, 2, b"data"),
        chunk(6, 1),
        chunk(6, 0),
        chunk(10, 0, b"cookie!") + chunk(0, 3, b"x"),
        chunk(200, 0),
        b"",
        chunk(0, 0, length=0),
        chunk(0, 0, b"data") + b"\0\0",
    )
    for payload in packets:
        bed.compare([("a", ethernet(MACS["a"], HOST_MAC, wire.ip(CLIENT, SERVER, 132, common + payload)))])
        bed.compare_counters("filter")


def test_ports_of_all_protocols_that_have_them(bed: RouterBed) -> None:
    protocols = (6, 17, 33, 132, 136)
    tests = ("--dports 80,90:95", "! --sports 7", "--ports 80")
    bed.build(table("filter", *[f"FORWARD -p {each} -m multiport {test}" for each in protocols for test in tests]))
    for protocol in protocols:
        for ports in ("00070050", "0007005a", "00070060", "00500007", "000700"):
            payload = bytes.fromhex(ports) + (bytes(20) if len(ports) == 8 else b"")
            bed.compare([("a", ethernet(MACS["a"], HOST_MAC, wire.ip(CLIENT, SERVER, protocol, payload)))])
        bed.compare_counters("filter")
