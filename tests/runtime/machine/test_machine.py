"""A kernel under trio: it runs when it must, lives through bad packets, and passes what is traced on."""

import io
import json
from random import Random

import trio
from trio.testing import MockClock

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.trace import Step, StepKind
from emulator.packet.address import ipv4_to_int
from emulator.runtime.logging import open_log
from emulator.runtime.machine.machine import Machine
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.underlay.memory import MemoryNetwork
from emulator.runtime.underlay.underlay import Peer


class Host:
    """A machine with one NIC on a wire."""

    def __init__(self, wire: MemoryNetwork, name: str, number: int) -> None:
        self.output = io.StringIO()
        kernel = Kernel(name, Random(number), trio.current_time())
        self.underlay = wire.attach(name, 1, ("127.0.0.1", number))
        self.machine = Machine(kernel, self.underlay, open_log(name, self.output), 1_000.0)
        self.netns = Netns(kernel, "root")
        self.nic = Nic(self.netns, "eth0", 0x020000000000 + number)
        self.nic.set_up()
        self.netns.add_address(self.nic, ipv4_to_int(f"10.0.0.{number}"), 24)
        self.machine.attach(self.nic)
        self.network = NetnsNetwork(self.machine, self.netns)
        self.steps: list[Step] = []
        self.machine.on_steps = self.steps.extend

    @property
    def peer(self) -> Peer:
        return Peer(self.machine.kernel.name, self.underlay.address, self.nic.mac)


def two_hosts() -> tuple[Host, Host]:
    wire = MemoryNetwork(Random(1))
    a, b = Host(wire, "a", 1), Host(wire, "b", 2)
    for host in (a, b):
        host.underlay.set_peers([a.peer, b.peer])
    return a, b


async def test_machines_reach_each_other_and_time_is_trios(autojump_clock: MockClock) -> None:
    a, b = two_hosts()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.machine.run)
        nursery.start_soon(b.machine.run)
        with a.network.open_ping() as ping:
            ping.send_echo("10.0.0.2", 1, b"x")
            assert (await ping.receive()).source == "10.0.0.2"
        await trio.sleep(100)
        a.machine.enter()
        assert a.machine.kernel.now == trio.current_time()
        assert a.machine.wall_clock() == 1_000.0 + trio.current_time()
        nursery.cancel_scope.cancel()


async def test_trace_goes_on_at_the_other_machine(autojump_clock: MockClock) -> None:
    a, b = two_hosts()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.machine.run)
        nursery.start_soon(b.machine.run)
        with a.network.open_ping() as ping:
            ping.send_echo("10.0.0.2", 1, b"x", trace=a.machine.kernel.open_trace(77))
            await ping.receive()
        nursery.cancel_scope.cancel()
    crossings = [
        (step.machine, step.detail["from"], step.detail["to"])
        for step in (*b.steps, *a.steps)
        if step.kind is StepKind.UNDERLAY and not step.packet.startswith("ARP")
    ]
    assert crossings == [("b", "a", "b"), ("a", "b", "a")]
    assert {step.trace for step in (*a.steps, *b.steps)} == {77}


async def test_exception_of_one_packet_is_logged_with_its_frame_and_the_machine_lives(
    autojump_clock: MockClock,
) -> None:
    a, b = two_hosts()

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.machine.run)
        nursery.start_soon(b.machine.run)
        b.nic.taps.append(fail)
        with a.network.open_udp() as endpoint:
            await endpoint.send_to(b"x", ("10.0.0.2", 9))
            await trio.sleep(0.1)
            b.nic.taps.clear()
            await trio.sleep(5)
            await endpoint.send_to(b"y", ("10.0.0.2", 9))
            await endpoint.wait_readable()
        nursery.cancel_scope.cancel()
    records = [json.loads(line) for line in b.output.getvalue().splitlines()]
    assert len(records) == b.machine.kernel.fault_count
    assert records[0]["link"] == "eth0"
    assert "RuntimeError: a bug" in records[0]["error"]
    assert bytes.fromhex(records[0]["frame"])[:6] == b"\xff" * 6


async def test_flood_leaves_other_tasks_their_turns(autojump_clock: MockClock) -> None:
    _, b = two_hosts()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.machine.run)
        for _ in range(5_000):
            b.nic.receive_frame(bytes(60))
        nursery.start_soon(count)
        b.machine.enter()
        while b.nic.counters.rx_packets < 5_000:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert turns >= 20
