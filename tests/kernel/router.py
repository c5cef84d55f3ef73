"""A router with two NICs on a machine's kernel, for tests that put frames in and look at frames that come out."""

from __future__ import annotations

import random

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.neigh import NudState
from emulator.kernel.netns import Netns
from emulator.kernel.skb import Skb
from emulator.packet.address import ipv4_to_int, mac_to_int, parse_interface
from tests.kernel.frames import ethernet, ipv4, udp

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
CLIENT_MAC, SERVER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
CLIENT, SERVER, HERE = "10.1.0.2", "10.2.0.2", "10.1.0.1"


class Router:
    """`a` is 10.1.0.1/24, `b` 10.2.0.1/24; the client and the server are known neighbours unless said otherwise."""

    def __init__(self, *, forwarding: bool = True, neighbours: bool = True) -> None:
        self.kernel = Kernel("router", random.Random(7))
        self.ns = Netns(self.kernel, "router")
        self.a = self.nic("a", A_MAC, "10.1.0.1/24")
        self.b = self.nic("b", B_MAC, "10.2.0.1/24")
        self.ns.sysctl.set("net.ipv4.ip_forward", int(forwarding))
        if neighbours:
            self.know(self.a, CLIENT, CLIENT_MAC)
            self.know(self.b, SERVER, SERVER_MAC)

    def nic(self, name: str, mac: str, address: str) -> Nic:
        """Add a NIC that is up."""
        nic = Nic(self.ns, name, mac_to_int(mac))
        nic.set_up()
        self.ns.add_address(nic, *parse_interface(address))
        return nic

    def know(self, nic: Nic, address: str, mac: str) -> None:
        """Add a permanent neighbour."""
        self.ns.neighbours.add(nic, ipv4_to_int(address), mac_to_int(mac), NudState.PERMANENT)

    def feed(self, nic: Nic, *frames: bytes) -> None:
        """Put frames in at a NIC and let the kernel run."""
        for frame in frames:
            nic.receive_frame(frame)
            self.run()

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass, timer by timer."""
        run(self.kernel, seconds)

    def taken(self, nic: Nic) -> list[bytes]:
        """Take what a NIC sends."""
        return taken(nic)


def run(kernel: Kernel, seconds: float = 0.0) -> None:
    """Let time pass, timer by timer, and fail on an exception inside."""
    end = kernel.now + seconds
    while (deadline := kernel.next_deadline()) is not None and deadline <= end:
        kernel.run(deadline)
    kernel.run(end)
    assert not kernel.faults, kernel.faults[-1].error


def taken(nic: Nic) -> list[bytes]:
    """Take what a NIC sends."""
    frames = [frame for frame, _, _ in nic.transmit_queue]
    nic.transmit_queue.clear()
    return frames


def datagram(source: str = CLIENT, destination: str = SERVER, size: int = 10, **header: int) -> bytes:
    """A UDP frame from the client to the router's `a`."""
    segment = udp(source, destination, 1000, 2000, bytes(size))
    return ethernet(A_MAC, CLIENT_MAC, ipv4(source, destination, 17, segment, **header))  # type: ignore[arg-type]


def received(frame: bytes) -> Skb:
    """A frame as an Skb."""
    return Skb(bytearray(frame))
