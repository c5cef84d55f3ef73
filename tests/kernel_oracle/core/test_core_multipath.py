"""Routes with many ways against the real kernel: under one seed both machines send each flow the same way."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

import pytest

from tests.kernel_oracle.harness import Frames, Testbed, echo, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

MACS = {name: f"02:00:00:00:00:0{name}" for name in "abcd"}
CLIENT_MAC, GATEWAY_MAC = "02:00:00:00:02:01", "02:00:00:00:01:09"
WAYS = (("10.2.0.9", 3), ("10.3.0.9", 2), ("10.4.0.9", 1))
FLOWS = 400


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        for number, (name, mac) in enumerate(MACS.items(), 1):
            testbed.add_link(name, mac)
            testbed.add_address(name, f"10.{number}.0.1/24")
            testbed.add_neighbour(name, f"10.{number}.0.9", GATEWAY_MAC)
        testbed.set_sysctl("net.ipv4.ip_forward", 1)
        testbed.set_sysctl("net.ipv4.fib_multipath_hash_seed", 77)
        testbed.add_multipath("default", WAYS)
        testbed.add_route("172.16.0.0/12", via="10.1.0.9")
        yield testbed


def spread(frames: Frames) -> list[int]:
    return [len(frames[name]) for name in "bcd"]


def draw(source: random.Random) -> tuple[str, str]:
    host = source.getrandbits
    return f"172.16.{host(8)}.{host(8)}", f"192.0.{host(8)}.{host(8)}"


def datagrams(seed: int, count: int = FLOWS) -> list[tuple[str, bytes]]:
    source = random.Random(seed)
    frames = []
    for _ in range(count):
        saddr, daddr = draw(source)
        segment = udp(saddr, daddr, source.getrandbits(16), source.getrandbits(16))
        frames.append(("a", incoming(ipv4(saddr, daddr, 17, segment))))
    return frames


def incoming(packet: bytes) -> bytes:
    return ethernet(MACS["a"], CLIENT_MAC, packet)


@pytest.mark.parametrize("policy", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [1, 0xDEADBEEF])
def test_flows_are_spread_by_weight_and_each_goes_linuxs_way(bed: Testbed, policy: int, seed: int) -> None:
    bed.set_sysctl("net.ipv4.fib_multipath_hash_policy", policy)
    bed.set_sysctl("net.ipv4.fib_multipath_hash_seed", seed)
    counts = spread(bed.compare(datagrams(seed)).emulated)
    assert counts[0] > counts[1] > counts[2] > 0
    assert sum(counts) == FLOWS


@pytest.mark.parametrize("fields", [0x01, 0x02, 0x04, 0x10, 0x20, 0x37, 0x40, 0x100, 0xFF7])
def test_custom_fields(bed: Testbed, fields: int) -> None:
    bed.set_sysctl("net.ipv4.fib_multipath_hash_policy", 3)
    bed.set_sysctl("net.ipv4.fib_multipath_hash_fields", fields)
    bed.compare(datagrams(fields, 60) + [("a", frame) for frame in tunnelled(9, 40)])


def tunnelled(seed: int, count: int) -> Iterator[bytes]:
    """Packets of many flows inside of IPIP, GRE and nested tunnels between two hosts, some that only look so."""
    source = random.Random(seed)
    for number in range(count):
        saddr, daddr = draw(source)
        inner = ipv4(saddr, daddr, 17, udp(saddr, daddr, source.getrandbits(16), source.getrandbits(16)))
        keyed = struct.pack("!HHII", 0x3000, 0x0800, 1, 2)
        wraps: Sequence[tuple[int, bytes]] = (
            (4, inner),
            (47, struct.pack("!HH", 0, 0x0800) + inner),
            (47, keyed + inner),
            (47, struct.pack("!HH", 0x4000, 0x0800) + inner),
            (4, ipv4("198.51.100.1", "198.51.100.2", 4, inner)),
            (47, struct.pack("!HH", 0, 0x86DD) + inner),
            (4, inner[:12]),
            (41, bytes(12)),
            (47, struct.pack("!HH", 0, 0x6558) + ethernet(CLIENT_MAC, GATEWAY_MAC, inner)),
            (47, struct.pack("!HH", 1, 0x0800) + inner),
        )
        protocol, payload = wraps[number % len(wraps)]
        yield incoming(ipv4("172.16.9.9", "192.0.9.9", protocol, payload))


@pytest.mark.parametrize("policy", [0, 1, 2, 3])
def test_tunnels(bed: Testbed, policy: int) -> None:
    bed.set_sysctl("net.ipv4.fib_multipath_hash_policy", policy)
    counts = spread(bed.compare([("a", frame) for frame in tunnelled(5, 140)]).emulated)
    assert (0 not in counts) is (policy == 2) or policy == 1


@pytest.mark.parametrize("policy", [0, 1, 2, 3])
def test_an_icmp_error_takes_the_way_of_the_flow_that_it_is_about(bed: Testbed, policy: int) -> None:
    bed.set_sysctl("net.ipv4.fib_multipath_hash_policy", policy)
    source = random.Random(3)
    frames = []
    for number in range(60):
        saddr, daddr = draw(source)
        quoted = ipv4(daddr, saddr, 17, udp(daddr, saddr, 5, 6))[: 28 - (number % 3) * 8]
        error = bytearray(echo(kind=(3, 11, 12, 5, 8)[number % 5], payload=quoted))
        frames.append(("a", incoming(ipv4("172.16.0.1", daddr, 1, bytes(error)))))
    bed.compare(frames)


@pytest.mark.parametrize("policy", [0, 1])
def test_fragments_and_other_protocols(bed: Testbed, policy: int) -> None:
    bed.set_sysctl("net.ipv4.fib_multipath_hash_policy", policy)
    source = random.Random(8)
    frames = []
    for protocol in (1, 2, 6, 17, 33, 50, 51, 89, 132, 136, 255) * 4:
        saddr, daddr = draw(source)
        payload = source.randbytes(40)
        packets = [ipv4(saddr, daddr, protocol, payload, fragment=field) for field in (0, 0x2000, 0x2005, 5, 0x4000)]
        frames += [("a", incoming(packet)) for packet in packets]
    bed.compare(frames)


def test_an_error_of_the_router_itself_takes_the_way_of_the_packet(bed: Testbed) -> None:
    bed.set_sysctl("net.ipv4.icmp_ratelimit", 0)
    bed.set_sysctl("net.ipv4.icmp_msgs_burst", 10_000)
    source = random.Random(2)
    bed.advance(0.1)
    frames = []
    for _ in range(30):
        _, other = draw(source)
        frames.append(("b", ethernet(MACS["b"], CLIENT_MAC, ipv4(other, "172.16.0.1", 17, bytes(20), ttl=1))))
    assert sum(spread(bed.compare(frames).emulated)) == 30


def test_a_dead_way_gives_its_share_to_the_others(bed: Testbed) -> None:
    bed.compare(datagrams(4, 100))
    bed.set_link("c", up=False)
    counts = spread(bed.compare(datagrams(4, 100)).emulated)
    assert counts[1] == 0
    assert sum(counts) == 100
    bed.set_link("c", up=True)
    bed.ip("addr show dev c")
    bed.add_neighbour("c", "10.3.0.9", GATEWAY_MAC)
    assert 0 not in spread(bed.compare(datagrams(4, 100)).emulated)


def test_with_its_last_way_the_route_goes(bed: Testbed) -> None:
    for name in "bcd":
        bed.set_link(name, up=False)
    assert "default" not in bed.ip("route")
    assert all(route.prefix_length for route in bed.ns.fib.routes())


def test_ways_whose_gateway_does_not_answer_are_left_out_if_asked(bed: Testbed) -> None:
    bed.add_multipath("198.18.0.0/15", [("10.2.0.77", 1), ("10.3.0.9", 1)])
    bed.set_sysctl("net.ipv4.fib_multipath_use_neigh", 1)
    for _ in range(3):
        frames = [("a", incoming(ipv4("172.16.0.1", f"198.18.0.{n}", 17, bytes(20)))) for n in range(1, 20)]
        observed = bed.exchange(frames)
        assert len(observed.emulated["c"]) == len(observed.real["c"])
        bed.advance(1.3)
    assert len(observed.emulated["c"]) == 19
