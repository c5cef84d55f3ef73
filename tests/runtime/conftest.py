"""Two namespaces of one machine, joined by a veth, with their sockets for trio."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple

import pytest
import trio

from emulator.kernel.kernel import Kernel
from emulator.kernel.link import veth
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int
from emulator.runtime.machine.machine import Machine
from emulator.runtime.pytest_plugin import cluster, cluster_config, podwire_needs_trio
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings
from emulator.runtime.sockets.tcp_stream import TcpStream
from emulator.runtime.underlay.memory import MemoryNetwork

# The plugin's fixtures, also where the project is not installed and pytest has not loaded it.
__all__ = ["cluster", "cluster_config", "podwire_needs_trio"]


class Pair(NamedTuple):
    """`a` is 10.0.0.1, `b` is 10.0.0.2; `a` asks `b` for names."""

    machine: Machine
    a: NetnsNetwork
    b: NetnsNetwork


@asynccontextmanager
async def joined_namespaces() -> AsyncIterator[Pair]:
    kernel = Kernel("m", Random(1), trio.current_time())
    underlay = MemoryNetwork(Random(1)).attach("m", 1, ("127.0.0.1", 1))
    machine = Machine(kernel, underlay, logging.getLogger("test"), 1_700_000_000.0)
    first, second = Netns(kernel, "a"), Netns(kernel, "b")
    links = veth.pair(first, "eth0", second, "eth0", 0x02000000000A, 0x02000000000B, 1500)
    for link, address in zip(links, ("10.0.0.1", "10.0.0.2"), strict=True):
        link.set_up()
        link.netns.add_address(link, ipv4_to_int(address), 24)
    settings = ResolverSettings(("10.0.0.2",), ("default.svc.cluster.local", "cluster.local"), 5, {"me": "10.0.0.1"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.run)
        yield Pair(machine, NetnsNetwork(machine, first, settings), NetnsNetwork(machine, second))
        nursery.cancel_scope.cancel()


async def connected(pair: Pair) -> tuple[TcpStream, TcpStream]:
    async with await pair.b.open_tcp_listener(80) as listener, trio.open_nursery() as nursery:
        accepted: list[TcpStream] = []

        async def accept() -> None:
            accepted.append(await listener.accept())

        nursery.start_soon(accept)
        client = await pair.a.open_tcp_stream("10.0.0.2", 80)
    return client, accepted[0]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with joined_namespaces() as joined:
        yield joined
