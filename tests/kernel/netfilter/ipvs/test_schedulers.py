"""Which real server each scheduler picks: sequences worked out by hand from the algorithms' descriptions, and shares.

The list of real servers begins with the one that was added last, so ".4" is first where .2, .3 and .4 were added.
"""

from __future__ import annotations

from collections import Counter
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.netfilter.ipvs.error import NO_SCHEDULER, IpvsRunError
from emulator.kernel.netfilter.ipvs.scheduler import SCHEDULERS
from emulator.kernel.netfilter.ipvs.scheduler.hashing import hash_32
from emulator.kernel.netfilter.ipvs.scheduler.maglev import SIZE, hash_key
from emulator.kernel.netfilter.ipvs.service import Destination, ServerOptions, Service, ServiceKey, ServiceOptions
from emulator.kernel.siphash import hsiphash_u32
from emulator.packet.address import ipv4_to_int
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import VIP, Balancer, service

CLIENT = ipv4_to_int("10.0.1.2")


def made(scheduler: str, *weights: int, flags: int = 0) -> Service:
    """A service by itself, whose servers are 1, 2, … in the order of the list."""
    options = ServiceOptions(scheduler=scheduler, scheduler_flags=flags)
    found = Service(ServiceKey(6, ipv4_to_int(VIP), 80), options, 0.0)
    found.scheduler = SCHEDULERS[scheduler](found)
    for number, weight in reversed(list(enumerate(weights, 1))):
        destination = Destination(found, number, 80, 0.0)
        destination.update(ServerOptions(weight=weight), added=True)
        found.destinations.insert(0, destination)
        found.scheduler.added(destination)
    return found


def picks(found: Service, count: int, *, first: int = 0) -> list[int]:
    """The numbers of the servers for so many client ports; 0 for none."""
    chosen = [found.scheduler.schedule(CLIENT, first + each, 1) for each in range(count)]
    return [0 if each is None else each.address for each in chosen]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1, 1, 1), [1, 2, 3, 1, 2, 3]),
        ((5, 1, 3), [1, 2, 3, 1, 2, 3]),
        ((1, 0, 1), [1, 3, 1, 3, 1, 3]),
        ((0, 0, 0), [0, 0, 0]),
        ((), [0]),
    ],
)
def test_round_robin(weights: tuple[int, ...], expected: list[int]) -> None:
    assert picks(made("rr", *weights), len(expected)) == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((4, 3, 2), [1, 1, 2, 1, 2, 3, 1, 2, 3]),  # linuxvirtualserver.org: A, B, C of weights 4, 3, 2: AABABCABC
        ((3, 1, 1), [1, 1, 1, 2, 3]),
        ((2, 4, 2), [2, 1, 2, 3]),
        ((5, 5), [1, 2, 1, 2]),
        ((0, 3), [2, 2, 2]),
        ((0, 0), [0, 0]),
    ],
)
def test_weighted_round_robin(weights: tuple[int, ...], expected: list[int]) -> None:
    """The sequence from the greatest threshold on. Servers that were added one by one leave the threshold at 1."""
    found = made("wrr", *weights)
    picks(found, sum(weight > 0 for weight in weights))  # the round of threshold 1
    assert picks(found, 2 * len(expected)) == expected * 2


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_round_of_weighted_round_robin_gives_each_its_weight(weights: list[int]) -> None:
    step = gcd(*weights)
    if not step:
        assert picks(made("wrr", *weights), 2) == [0, 0]
        return
    found = picks(made("wrr", *weights), 3 * sum(weights) // step)
    assert Counter(found) == {number: 3 * weight // step for number, weight in enumerate(weights, 1) if weight}


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_weighted_round_robin_passes_over_those_over_their_threshold(overloaded: list[bool], weight: int) -> None:
    found = made("wrr", *(weight + number for number in range(len(overloaded))))
    for destination, over in zip(found.destinations, overloaded, strict=True):
        destination.overloaded = over
    allowed = {number for number, over in enumerate(overloaded, 1) if not over} or {0}
    assert set(picks(found, 200)) <= allowed


def load(found: Service, *counts: tuple[int, int]) -> None:
    for destination, (active, inactive) in zip(found.destinations, counts, strict=True):
        destination.active, destination.inactive = active, inactive


@pytest.mark.parametrize(
    ("scheduler", "weights", "counts", "expected"),
    [
        ("lc", (1, 1, 1), [(2, 0), (1, 200), (1, 199)], 3),
        ("lc", (9, 1, 1), [(2, 0), (1, 257), (3, 0)], 1),  # 512 against 513: an active one is worth 256 inactive ones
        ("lc", (1, 1), [(0, 0), (0, 0)], 1),
        ("lc", (0, 1), [(0, 0), (9, 0)], 2),
        ("wlc", (3, 1), [(3, 0), (2, 0)], 1),
        ("wlc", (2, 1), [(4, 0), (2, 0)], 1),
        ("wlc", (2, 1), [(4, 1), (2, 0)], 2),
        ("sed", (1, 3), [(0, 0), (1, 0)], 2),  # (0 + 1) / 1 against (1 + 1) / 3
        ("sed", (1, 2), [(0, 9), (1, 0)], 1),
        ("nq", (1, 3), [(0, 0), (1, 0)], 1),
        ("nq", (1, 3), [(1, 0), (2, 0)], 2),
        ("nq", (0, 3), [(0, 0), (2, 0)], 2),
        ("fo", (2, 9, 9), [(0, 0), (99, 0), (0, 0)], 2),
        ("ovf", (2, 9, 5), [(0, 0), (10, 0), (0, 0)], 3),
        ("ovf", (2, 9, 5), [(0, 0), (9, 0), (0, 0)], 2),
        ("ovf", (1, 1), [(2, 0), (2, 0)], 0),
    ],
)
def test_by_connections(scheduler: str, weights: tuple[int, ...], counts: list[tuple[int, int]], expected: int) -> None:
    found = made(scheduler, *weights)
    load(found, *counts)
    assert picks(found, 1) == [expected]


@pytest.mark.parametrize("scheduler", ["wlc", "sed"])
@given(weights=st.lists(st.integers(1, 8), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_shares_by_connections_follow_the_weights(scheduler: str, weights: list[int]) -> None:
    found = made(scheduler, *weights)
    for _ in range(30 * sum(weights)):
        chosen = found.scheduler.schedule(CLIENT, 0, 1)
        assert chosen is not None
        chosen.active += 1
    for destination in found.destinations:
        assert abs(destination.active - 30 * destination.weight) <= destination.weight + 1


def test_hash_32_is_the_kernels() -> None:
    """Worked out with the constant 0x61C88647 of include/linux/hash.h, as a 64-bit product by hand."""
    assert hash_32(1, 32) == 0x61C88647
    assert hash_32(1, 8) == 0x61
    assert hash_32(0x0A000102, 8) == (0x0A000102 * 0x61C88647 % 2**32) // 2**24
    assert hash_32(0, 8) == 0


def test_source_hashing_fills_buckets_by_weight() -> None:
    """256 buckets in turn: 1, 2, 2, 2, 1, 2, 2, 2, …; a client's is the upper byte of its hash."""
    found = made("sh", 1, 3)
    for client in range(0x0A000100, 0x0A000180):
        chosen = found.scheduler.schedule(client, 5, 1)
        bucket = (client * 0x61C88647 & 0xFFFFFFFF) >> 24
        assert chosen is found.destinations[0 if bucket % 4 == 0 else 1]


def test_source_hashing_looks_at_ports_and_falls_back_if_told_to() -> None:
    assert len(set(picks(made("sh", 1, 1, 1), 50))) == 1
    assert len(set(picks(made("sh", 1, 1, 1, flags=2), 50))) == 3
    for flags, expected in ((2, 0), (3, None)):
        found = made("sh", 1, 1, flags=flags)
        before = picks(found, 50)
        found.destinations[0].weight = 0  # as `-e … -w 0` would, if buckets were not made anew by it
        after = picks(found, 50)
        assert 1 not in after
        assert (0 in after) is (expected == 0)
        assert all(now == then for now, then in zip(after, before, strict=True) if then == 2)


def test_destination_hashing_takes_buckets_in_turn() -> None:
    found = made("dh", 1, 1, 1)
    for address in range(0x0A600000, 0x0A600040):
        chosen = found.scheduler.schedule(CLIENT, 5, address)
        assert chosen is found.destinations[((address * 0x61C88647 & 0xFFFFFFFF) >> 24) % 3]


def test_hsiphash_is_the_kernels() -> None:
    """lib/siphash_kunit.c: the vector of length 4, which is what hsiphash_1u32 of 0x03020100 is."""
    assert hsiphash_u32(0x03020100, (0x0706050403020100, 0x0F0E0D0C0B0A0908)) == 0x88D38328


def maglev_by_the_paper(names: list[tuple[int, int]], weights: list[int]) -> list[int]:
    """The table of the paper's pseudo-code (section 3.4), each backend taking `weight` turns; numbers of backends."""
    first, second = (2654435761, 2654435761), (2654446892, 2654446892)
    offset = [hash_key(*name, first) % SIZE for name in names]
    skip = [hash_key(*name, second) % (SIZE - 1) + 1 for name in names]
    following = [0] * len(names)
    entry = [-1] * SIZE
    filled = 0
    while True:
        for backend, weight in enumerate(weights):
            for _ in range(weight):
                place = (offset[backend] + following[backend] * skip[backend]) % SIZE
                while entry[place] >= 0:
                    following[backend] += 1
                    place = (offset[backend] + following[backend] * skip[backend]) % SIZE
                entry[place] = backend
                following[backend] += 1
                filled += 1
                if filled == SIZE:
                    return entry


@pytest.mark.parametrize("weights", [(1, 1, 1), (2, 1), (4, 2, 6), (128, 64), (1, 1, 1, 1, 1)])
def test_maglev_is_the_papers(weights: tuple[int, ...]) -> None:
    found = made("mh", *weights)
    divisor = gcd(*weights)
    table = maglev_by_the_paper(
        [(each.address, each.port) for each in found.destinations], [each // divisor for each in weights]
    )
    for client in range(0x0A000100, 0x0A000200):
        chosen = found.scheduler.schedule(client, 7, 1)
        own = hsiphash_u32(client, (2654435761, 2654435761)) % SIZE
        assert chosen is found.destinations[table[own]]


def test_maglev_moves_few_clients_and_keeps_the_places_of_one_that_rests() -> None:
    found = made("mh", 1, 1, 1, 1, flags=3)
    before = picks(found, 2000)
    shares = Counter(before)
    assert all(abs(share - 500) < 75 for share in shares.values()), shares
    gone = found.destinations.pop(2)
    found.scheduler.removed(gone, 2)
    after = picks(found, 2000)
    moved = sum(then != now for then, now in zip(before, after, strict=True) if then != 3)
    assert moved < 100  # of some 1,500 whose server is still there
    resting = made("mh", 1, 1, 1, 1, flags=3)
    destination = resting.destinations[2]
    destination.update(ServerOptions(weight=0), added=False)
    resting.scheduler.updated(destination)
    kept = picks(resting, 2000)
    assert 3 not in kept
    assert all(then == now for then, now in zip(before, kept, strict=True) if then != 3)


def test_packets_are_spread_as_the_scheduler_says() -> None:
    assert Balancer(service("rr", 1, 1)).picks(4) == "3232"
    assert Balancer(service("wrr", 1, 2)).picks(6) == "323323"
    assert Balancer(service("lc", 1, 1)).picks(4) == "3232"
    balancer = Balancer(service("rr", 1, 1))
    balancer.run(f"-e -t {VIP}:80 -r 10.0.2.3:8080 -m -w 0")
    assert balancer.picks(3) == "222"
    balancer.run(f"-E -t {VIP}:80 -s sh\n-e -t {VIP}:80 -r 10.0.2.3:8080 -m -w 1")
    assert len(set(balancer.picks(6, first=20_000))) == 1


def test_round_robin_goes_on_where_it_was_when_servers_come_and_go() -> None:
    balancer = Balancer(service("rr", 1, 1, 1))
    assert balancer.picks(2) == "43"
    balancer.run(f"-d -t {VIP}:80 -r 10.0.2.3:8080")
    assert balancer.picks(3, first=20_000) == "242"
    balancer.run(f"-a -t {VIP}:80 -r 10.0.2.5:8080 -m")
    assert balancer.picks(4, first=30_000) == "5425"


def test_a_scheduler_that_is_not_there() -> None:
    with pytest.raises(IpvsRunError) as caught:
        Balancer(f"-A -t {VIP}:80 -s lblc")
    assert caught.value.message == NO_SCHEDULER


def test_a_scheduler_is_asked_once_a_connection() -> None:
    balancer = Balancer(service("rr", 1, 1))
    assert [balancer.open(4000), balancer.open(4000, flags=wire.ACK), balancer.open(4000, flags=wire.ACK)] == [
        "10.0.2.3", "10.0.2.3", "10.0.2.3",
    ]  # fmt: skip
