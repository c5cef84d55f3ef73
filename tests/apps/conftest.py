"""A node of one machine with pods on its bridge, its programs running, under a clock that jumps."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import pytest
import trio
from msgspec.structs import replace

from emulator.apps import commands
from emulator.apps.directory import DnsAnswer, ServiceDirectory, Zone
from emulator.apps.environment import Container, Invocation
from emulator.apps.filesystem import Files
from emulator.apps.images import program_for
from emulator.kernel.kernel import Kernel
from emulator.kernel.link import veth
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.packet.address import ipv4_to_int
from emulator.packet.dns_record import PTR, SOA, A, Record, Soa, reverse_name
from emulator.runtime.machine.machine import Machine
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings
from emulator.runtime.underlay.memory import MemoryNetwork

WALL = 1_700_000_000.0
DNS_ADDRESS = "10.244.1.4"
SEARCH = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")


@dataclass
class Result:
    status: int
    out: str
    error: str


@dataclass
class Lab:
    """`client` is 10.244.1.2, `server` 10.244.1.3, `dns` 10.244.1.4; the node is 10.244.1.1 on cbr0."""

    machine: Machine
    networks: dict[str, NetnsNetwork]
    nursery: trio.Nursery
    logs: dict[str, list[str]] = field(default_factory=dict)

    def netns(self, name: str) -> Netns:
        return self.networks[name].netns

    async def start(
        self,
        image: str,
        pod: str = "server",
        *,
        args: Sequence[str] = (),
        command: Sequence[str] = (),
        ports: Sequence[tuple[str, str, int]] = (),
        env: Mapping[str, str] | None = None,
        zone: Zone | None = None,
        directory: ServiceDirectory | None = None,
        files: Mapping[str, str] | None = None,
    ) -> list[int]:
        """Run a container's program; return the list that its exit status goes into."""

        async def read_file(path: str) -> str | None:
            await trio.lowlevel.checkpoint()
            return (files or {}).get(path)

        log = self.logs.setdefault(pod, [])
        container = Container(
            name="main",
            image=image,
            pod_name=pod,
            namespace="default",
            pod_ip=ADDRESSES[pod],
            node_name="node-a",
            network=self.networks[pod],
            log=log.append,
            args=tuple(args),
            command=tuple(command),
            ports=tuple(ports),
            env=env or {},
            zone=zone,
            directory=directory,
            read_file=read_file,
            wall_clock=self.machine.wall_clock,
        )
        statuses: list[int] = []

        started = _Started()

        async def run() -> None:
            statuses.append(await program_for(container)(container, task_status=started))
            started.event.set()

        self.nursery.start_soon(run)
        await started.event.wait()
        return statuses

    def invocation(self, pod: str = "client", stdin: bytes = b"") -> Invocation:
        """Return one in a pod that prints nowhere."""
        return Invocation(
            (),
            self.networks[pod],
            _Input(stdin),
            lambda _: None,
            lambda _: None,
            self.machine.wall_clock,
            hostname=pod,
        )

    async def run(
        self, line: str | Sequence[str], pod: str = "client", stdin: bytes = b"", files: Files | None = None
    ) -> Result:
        """Run a command in a pod and return what it printed."""
        argv = tuple(line.split() if isinstance(line, str) else line)
        out: list[str] = []
        error: list[str] = []
        command = commands.find(argv[0])
        assert command is not None, argv[0]
        invocation = replace(
            self.invocation(pod, stdin), argv=argv, write=out.append, write_error=error.append, files=files
        )
        status = await command(invocation)
        return Result(status, "".join(out), "".join(error))


ADDRESSES = {"client": "10.244.1.2", "server": "10.244.1.3", "dns": DNS_ADDRESS}


class _Started(trio.TaskStatus[None]):
    """Set when a program serves, or has ended."""

    def __init__(self) -> None:
        self.event = trio.Event()

    def started(self, value: None = None) -> None:
        self.event.set()


class _Input:
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self._data = self._data, b""
        return data


class Names:
    """A zone with one Service, one pod behind it, and a name without records."""

    def __init__(self) -> None:
        web = ipv4_to_int("10.244.1.3")
        self.records = {
            "web.default.svc.cluster.local.": [Record("web.default.svc.cluster.local.", A, 30, web)],
            "many.default.svc.cluster.local.": [
                Record("many.default.svc.cluster.local.", A, 30, index) for index in range(1, 200)
            ],
            reverse_name(web): [Record(reverse_name(web), PTR, 30, "web.default.svc.cluster.local.")],
        }

    def lookup(self, name: str, record_type: int) -> DnsAnswer:
        records = self.records.get(name.lower())
        inside = name.count(".") == 1 or name.lower().endswith((".cluster.local.", ".in-addr.arpa."))
        found = tuple(record for record in records or () if record.type == record_type)
        soa = Soa("ns.dns.cluster.local.", "hostmaster.cluster.local.", 1, 7200, 1800, 86400, 30)
        authority = (Record("cluster.local.", SOA, 30, soa),)
        return DnsAnswer(found, records is not None, inside, () if found else authority)


def _build(kernel: Kernel) -> dict[str, Netns]:
    node = Netns(kernel, "node-a")
    node.sysctl.set("net.ipv4.ip_forward", 1)
    bridge = Bridge(node, "cbr0", 0x0A580AF40101)
    bridge.set_up()
    node.add_address(bridge, ipv4_to_int("10.244.1.1"), 24, broadcast=ipv4_to_int("10.244.1.255"))
    found = {"node": node}
    for name, address in ADDRESSES.items():
        value = ipv4_to_int(address)
        found[name] = pod = Netns(kernel, f"cni-{name}")
        outer, inner = veth.pair(
            node, f"veth{name}", pod, "eth0", 0x0A000A000000 | value & 0xFF, 0x0A580AF40100 | value & 0xFF
        )
        bridge.add_port(outer)
        outer.set_up()
        inner.set_up()
        pod.add_address(inner, value, 24)
        pod.fib.add(Route(0, 0, gateway=ipv4_to_int("10.244.1.1")))
    return found


@asynccontextmanager
async def open_lab() -> AsyncIterator[Lab]:
    kernel = Kernel("node-a", Random(1), trio.current_time())
    underlay = MemoryNetwork(Random(1)).attach("node-a", 1, ("127.0.0.1", 1))
    machine = Machine(kernel, underlay, logging.getLogger("test"), WALL - trio.current_time())
    settings = ResolverSettings((DNS_ADDRESS,), SEARCH, 5, {"localhost": "127.0.0.1"})
    networks = {name: NetnsNetwork(machine, netns, settings) for name, netns in _build(kernel).items()}
    networks["dns"] = NetnsNetwork(machine, networks["dns"].netns, ResolverSettings())  # or it would ask itself
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.run)
        lab = Lab(machine, networks, nursery)
        yield lab
        assert not kernel.fault_count, kernel.faults[0].error
        nursery.cancel_scope.cancel()


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with open_lab() as made:
        yield made


Scenario = Callable[[Lab], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """Run a scenario in a lab of its own; for properties, whose examples share no fixture."""

    async def main() -> None:
        async with open_lab() as made:
            await scenario(made)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
