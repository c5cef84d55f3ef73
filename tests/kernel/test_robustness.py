"""Whatever bytes come in from a NIC: no exception, and each frame is sent on, delivered, kept or counted as dropped."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.packet.address import ipv4_to_int
from tests.kernel.frames import arp, echo, ethernet, ipv4, udp
from tests.kernel.router import run, taken

BRIDGE_MAC, UP_MAC = "02:00:00:00:00:b0", "02:00:00:00:00:03"
ONE, TWO, BROADCAST = "02:00:00:00:01:01", "02:00:00:00:01:02", "ff:ff:ff:ff:ff:ff"

QUOTED = ipv4("10.1.0.1", "10.1.0.2", 6, bytes(8))
OPTIONS = bytes((7, 7, 4, 0, 0, 0, 0, 0))  # record route

SEEDS = [
    ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.2.0.2", 17, udp("10.1.0.2", "10.2.0.2", 1, 2))),
    ethernet(TWO, ONE, ipv4("10.1.0.2", "10.1.0.3", 17, udp("10.1.0.2", "10.1.0.3", 1, 2))),
    ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.1.0.1", 1, echo())),
    ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.1.0.1", 1, echo(kind=3, payload=QUOTED))),
    ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.1.0.1", 6, bytes(20))),
    ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.2.0.2", 17, bytes(64), fragment=0x2000, options=OPTIONS)),
    ethernet(BRIDGE_MAC, ONE, ipv4("10.1.0.2", "10.1.0.1", 17, bytes(64), fragment=0x2004)),
    ethernet(BROADCAST, ONE, ipv4("10.1.0.2", "10.1.0.255", 17, udp("10.1.0.2", "10.1.0.255", 68, 67))),
    ethernet("01:00:5e:00:00:01", ONE, ipv4("10.1.0.2", "224.0.0.1", 2, bytes(8))),
    ethernet(UP_MAC, ONE, ipv4("10.2.0.9", "10.1.0.2", 17, udp("10.2.0.9", "10.1.0.2", 1, 2), ttl=1)),
    ethernet(BROADCAST, ONE, b"\0\x05" + b"\x08\0" + ipv4("10.1.0.2", "10.1.0.1", 1, echo()), 0x8100),
]  # fmt: skip
ARPS = [ethernet(BROADCAST, ONE, arp(operation, ONE, "10.1.0.2", TWO, "10.1.0.1"), 0x0806) for operation in (1, 2)]


class Machine:
    """A bridge with two NICs, a third NIC beside it, and forwarding between them."""

    def __init__(self) -> None:
        self.kernel = Kernel("machine", random.Random(1))
        self.ns = Netns(self.kernel, "ns")
        self.nics = [Nic(self.ns, f"nic{number}", 0x020000000001 + number) for number in range(3)]
        bridge = Bridge(self.ns, "br0", 0x0200000000B0)
        for link in (bridge, *self.nics):
            link.set_up()
        for nic in self.nics[:2]:
            bridge.add_port(nic)
        self.ns.add_address(bridge, ipv4_to_int("10.1.0.1"), 24)
        self.ns.add_address(self.nics[2], ipv4_to_int("10.2.0.1"), 24)
        self.ns.fib.add(Route(0, 0, gateway=ipv4_to_int("10.2.0.254")))
        self.ns.sysctl.set("net.ipv4.ip_forward", 1)

    def accounted(self) -> int:
        """How much has become of what came in so far."""
        waiting = sum(len(entry.queue) for entry in self.ns.neighbours)
        kept = sum(len(queue.fragments) for queue in self.ns.reassembler._queues.values())
        sent = sum(nic.counters.tx_packets for nic in self.nics)
        return sent + sum(self.ns.drops.values()) + self.ns.icmp.received + waiting + kept

    def feed(self, number: int, frame: bytes, *, is_arp: bool) -> None:
        """Put a frame in and check that it did not vanish."""
        before = self.accounted()
        self.nics[number].receive_frame(frame)
        run(self.kernel)
        if not is_arp:
            assert self.accounted() > before
        for nic in self.nics:
            taken(nic)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A frame that is nearly right: some bytes changed, cut, or lengthened."""
    frame = bytearray(draw(st.sampled_from(SEEDS + ARPS)))
    for _ in range(draw(st.integers(0, 4))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()) and len(frame) > 34 and frame[12:14] == b"\x08\0":
        frame[24:26] = b"\0\0"
        header = frame[14 : 14 + (frame[14] & 15) * 4]
        words = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
        frame[24:26] = (-words % 0xFFFF).to_bytes(2, "big")
    end = draw(st.integers(0, len(frame))) if draw(st.integers(0, 4)) == 0 else len(frame)
    return bytes(frame[:end]) + draw(st.binary(max_size=8))


FRAMES = st.one_of(mutated(), mutated(), mutated(), st.binary(max_size=200))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), FRAMES, st.sampled_from((0.0, 0.0, 1.0, 40.0))), max_size=12))
def test_any_bytes_are_taken(frames: list[tuple[int, bytes, float]]) -> None:
    machine = Machine()
    for number, frame, pause in frames:
        run(machine.kernel, pause)
        machine.feed(number, frame, is_arp=frame[12:14] == b"\x08\x06")
    run(machine.kernel, 400.0)
    assert sum(len(entry.queue) for entry in machine.ns.neighbours) == 0
    assert len(machine.ns.reassembler) == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), FRAMES), max_size=12))
def test_any_bytes_are_taken_under_trace(frames: list[tuple[int, bytes]]) -> None:
    machine = Machine()
    for number, frame in frames:
        machine.nics[number].receive_frame(frame, machine.kernel.open_trace(1))
        run(machine.kernel)
    assert bool(machine.kernel.take_steps()) == bool(frames)
