"""One flow of a protocol from anywhere to a Service: who answers, and whom the server sees as its client.

In a simulated cluster flows start in the namespaces themselves; in one of real processes at sockets that nodes lend.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random

import trio

from emulator.kernel.ip.icmp import IcmpError
from emulator.kernel.link.link import Link
from emulator.kernel.netns import Netns
from emulator.kernel.skb import Skb
from emulator.packet.sctp import Chunk, ChunkType, SctpHeader
from emulator.runtime.cluster.cluster import Cluster, Place
from emulator.runtime.cluster.remote_sockets import RemoteUdp
from emulator.runtime.sockets.network import NetnsNetwork

SCTP = 132
PATIENCE = 2.5
"""Seconds without an answer after which a packet counts as dropped: a SYN is repeated after one."""

REFUSED, DROPPED = "refused", "dropped"


@dataclass(frozen=True, slots=True)
class Answer:
    """A pod that answered, and the address that it saw."""

    pod: str
    client: str


Outcome = Answer | str


@dataclass(frozen=True, slots=True)
class Source:
    """Where flows start; `address` is what they have as their source before anybody rewrites it.

    Each UDP flow has a port of its own (`ports`): of hundreds of drawn ones two would meet in some conntrack.
    """

    network: NetnsNetwork | Place
    address: str
    ports: Iterator[int] = field(default_factory=lambda: itertools.count(20_000))

    @property
    def netns(self) -> Netns:
        """The namespace, of a simulated cluster."""
        assert isinstance(self.network, NetnsNetwork)
        return self.network.netns


async def pod_source(cluster: Cluster, name: str) -> Source:
    """A pod of namespace default."""
    pod = await cluster.get("Pod", name, "default")
    if cluster.simulation is None:
        return Source(await cluster.pod(name).located(), pod["status"]["podIP"])
    machine = cluster.simulation.machines[pod["spec"]["nodeName"]].machine
    netns = machine.kernel.namespaces[f"cni-{pod['metadata']['uid']}"]
    return Source(NetnsNetwork(machine, netns), pod["status"]["podIP"])


def node_source(cluster: Cluster, name: str, address: str) -> Source:
    """A node's own namespace."""
    if cluster.simulation is None:
        return Source(cluster.node(name), address)
    node = cluster.simulation.machines[name]
    return Source(NetnsNetwork(node.machine, node.root), address)


def outside_source(cluster: Cluster) -> Source:
    """The host `outside`, which has the node network's first address."""
    address = str(next(cluster.config.node_network.hosts()))
    if cluster.simulation is None:
        return Source(cluster.host("outside"), address)
    return Source(cluster.simulation.hosts["outside"].network, address)


async def tcp(source: Source, address: str, port: int) -> Outcome:
    """Connect and ask `agnhost netexec` for its name and its client, in one connection."""
    with trio.move_on_after(PATIENCE):
        try:
            stream = await source.network.open_tcp_stream(address, port)
        except OSError as error:
            return outcome_of(error)
        async with stream:
            first, last = ("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n".format(*it) for it in _REQUESTS)
            await stream.send_all((first + last).encode())
            said = b""
            while data := await stream.receive_some(65536):
                said += data
        bodies = said.split(b"\r\n\r\n")
        name, client = bodies[1].partition(b"HTTP/1.1")[0], bodies[2]
        return Answer(name.decode(), client.decode().rpartition(":")[0])
    return DROPPED


_REQUESTS = (("/hostname", ""), ("/clientip", "Connection: close\r\n"))


async def udp(source: Source, address: str, port: int) -> Outcome:
    """Ask the same by datagrams of one socket."""
    ask = _ask_lent if isinstance(source.network, Place) else _ask
    with trio.move_on_after(PATIENCE):
        try:
            name, client = await ask(source, (address, port))
        except OSError as error:
            return outcome_of(error)
        return Answer(name, client.rpartition(":")[0])
    return DROPPED


def outcome_of(error: OSError) -> Outcome:
    """Whom nobody knows the way to is not there, as one who drops; of refusals there is one kind."""
    if error.errno == errno.ECONNREFUSED:
        return REFUSED
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return DROPPED
    raise error


_QUESTIONS = (b"hostname", b"clientip")


async def _ask(source: Source, peer: tuple[str, int]) -> list[str]:
    said = []
    assert isinstance(source.network, NetnsNetwork)
    with source.network.open_udp(next(source.ports)) as socket:
        socket.connect(peer)
        for question in _QUESTIONS:
            with suppress(PermissionError):  # dropped in OUTPUT; what rejects it there sends an ICMP error as well
                await socket.send_to(question)
            said.append((await socket.receive()).payload.decode())
    return said


async def _ask_lent(source: Source, peer: tuple[str, int]) -> list[str]:
    said = []
    assert isinstance(source.network, Place)
    with await source.network.udp_socket(next(source.ports), peer=peer) as socket:
        for question in _QUESTIONS:
            await socket.send_to(question, peer)
            said.append((await _received(socket)).decode())
    return said


async def _received(socket: RemoteUdp) -> bytes:
    while True:
        with suppress(PermissionError):
            return (await socket.receive())[0]


class _Outcomes(list[Outcome]):
    """What came of an INIT, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.first = trio.Event()

    def append(self, outcome: Outcome) -> None:
        super().append(outcome)
        self.first.set()


class SctpObserver:
    """Sends INITs, and sees at the pods' links where they arrive: whatever the pods make of them."""

    def __init__(self, pods: dict[str, Source], random: Random) -> None:
        self._pods = pods
        self._random = random

    async def ask(self, source: Source, address: str, port: int) -> Outcome:
        """Send one INIT from a port of its own."""
        own = self._random.randrange(1024, 65536)
        value = bytes.fromhex("0000000100010000000a000a00000001")  # tag, window, streams each way, first TSN
        segment = SctpHeader(own, port, 0).build([Chunk(ChunkType.INIT, 0, value)])
        outcomes = _Outcomes()
        with self._watched(outcomes), _refusals(source.netns, outcomes):
            netns = source.netns  # brings the machine's time up to date
            netns.ip.output(SCTP, segment, daddr=int(IPv4Address(address)), saddr=0)
            with trio.move_on_after(PATIENCE):
                await outcomes.first.wait()
        return outcomes[0] if outcomes else DROPPED

    @contextmanager
    def _watched(self, outcomes: _Outcomes) -> Iterator[None]:
        taps = []
        for name, pod in self._pods.items():
            link = pod.netns.links["eth0"]

            def tap(_link: Link, direction: str, skb: Skb, name: str = name) -> None:
                header = skb.data[14:]
                if direction == "in" and header[9] == SCTP:
                    outcomes.append(Answer(name, str(IPv4Address(bytes(header[12:16])))))

            link.taps.append(tap)
            taps.append((link, tap))
        try:
            yield
        finally:
            for link, tap in taps:
                link.taps.remove(tap)


@contextmanager
def _refusals(netns: Netns, outcomes: _Outcomes) -> Iterator[None]:
    """Hear of port unreachable; protocol unreachable is the answer of a pod that the INIT has reached."""

    def handle(error: IcmpError) -> None:
        if (error.type, error.code) == (3, 3):
            outcomes.append(REFUSED)

    netns.error_handlers[SCTP] = handle
    try:
        yield
    finally:
        del netns.error_handlers[SCTP]
