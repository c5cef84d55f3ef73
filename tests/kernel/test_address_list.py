"""Addresses of a link: found by value and by network as a search through all of them finds them."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.address_list import Address, AddressList
from emulator.kernel.link.dummy import Dummy
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Scope
from emulator.packet.address import MASKS

ADDRESSES = st.builds(
    lambda address, length, peer: Address(address, length, Scope.UNIVERSE, peer or address),
    st.integers(0x0A000000, 0x0A000003),
    st.sampled_from([24, 31, 32]),
    st.sampled_from([0, 0, 0x0A000001]),
)


@given(st.lists(st.tuples(st.booleans(), ADDRESSES), max_size=30))
def test_it_is_a_list_with_two_indexes(steps: list[tuple[bool, Address]]):
    plain: list[Address] = []
    own = AddressList()
    for add, address in steps:
        if add and address not in plain:
            plain.append(address)
            own.add(address)
        elif not add and address in plain:
            plain.remove(address)
            own.remove(address)
    assert list(own) == plain
    assert len(own) == len(plain)
    assert bool(own) is bool(plain)
    if plain:
        assert own.first == plain[0]
    for value in range(0x0A000000, 0x0A000004):
        assert own.at(value) == [each for each in plain if each.address == value]
        for length in (24, 31, 32):
            network = value & MASKS[length]
            same = [each for each in plain if each.network == network and each.prefix_length == length]
            assert own.in_network(network, length) == same


def best_of_three(netns: Netns, link: Dummy) -> float:
    """Seconds for 200 addresses that come and go."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        for number in range(200):
            netns.add_address(link, 0x0B000000 + number, 32)
        for number in range(200):
            netns.remove_address(link, 0x0B000000 + number, 32)
        times.append(time.perf_counter() - began)
    return min(times)


def test_an_address_costs_the_same_among_ten_thousand():
    netns = Netns(Kernel("node", random.Random(1), 0.0), "root")
    link = Dummy(netns, "kube-ipvs0", 0x020000000001)
    few = best_of_three(netns, link)
    for number in range(10_000):
        netns.add_address(link, 0x0A000000 + number, 32)
    assert best_of_three(netns, link) < 10 * few
    assert netns.has_address(0x0A000000 + 9_999)
    assert netns.link_of_address(0x0A000000) is link
    netns.remove_link(link)
    assert not netns.has_address(0x0A000000)
    assert [route for route in netns.fib.routes(None) if route.link is link] == []
