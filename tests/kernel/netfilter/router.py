"""A small machine for tests: a router between three networks, fed with frames at its NICs."""

from __future__ import annotations

import random

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.neigh import NudState
from emulator.kernel.netfilter.conntrack.connection import Connection
from emulator.kernel.netns import Netns
from emulator.kernel.trace import Step
from emulator.packet.address import ipv4_to_int
from tests.kernel.netfilter import wire


class Router:
    """Links a, b and c with 10.0.{1,2,3}.1/24; every address in these networks is a neighbour."""

    def __init__(self, rules: str = "", *, seed: int = 1) -> None:
        self.kernel = Kernel("router", random.Random(seed))
        self.ns = Netns(self.kernel, "root")
        self.ns.sysctl.set("net.ipv4.ip_forward", 1)
        self.nics: dict[str, Nic] = {}
        for number, name in enumerate("abc", 1):
            nic = Nic(self.ns, name, 0x020000000000 + number)
            nic.set_up()
            self.ns.add_address(nic, ipv4_to_int(f"10.0.{number}.1"), 24)
            for host in range(2, 30):
                self.ns.neighbours.add(
                    nic, ipv4_to_int(f"10.0.{number}.{host}"), 0x02AA00000000 + host, NudState.PERMANENT
                )
            self.nics[name] = nic
        if rules:
            self.ns.netfilter.restore(rules)

    def send(self, link: str, packet: bytes, *, traced: bool = False) -> list[tuple[str, bytes]]:
        """Put a packet in at a link; return the packets that come out, each with its link."""
        nic = self.nics[link]
        frame = nic.mac.to_bytes(6, "big") + b"\x02\xaa\0\0\0\2" + b"\x08\0" + packet
        nic.receive_frame(frame, self.kernel.open_trace(1) if traced else None)
        self.kernel.run(self.kernel.now)
        assert not self.kernel.faults, self.kernel.faults[-1].error
        return [(name, each[14:]) for name in "abc" for each in self._drain(self.nics[name])]

    def pass_time(self, seconds: float) -> None:
        """Let timers run."""
        end = self.kernel.now + seconds
        while (deadline := self.kernel.next_deadline()) is not None and deadline <= end:
            self.kernel.run(deadline)
        self.kernel.run(end)

    def steps(self) -> list[Step]:
        """Take the steps of traced packets."""
        return self.kernel.take_steps()

    def connections(self) -> list[Connection]:
        """The entries of the conntrack table."""
        return list(self.ns.netfilter.conntrack)

    def entries(self) -> list[str]:
        """The entries as `conntrack -L` prints them, without their times."""
        return [str(connection) for connection in self.connections()]

    @staticmethod
    def _drain(nic: Nic) -> list[bytes]:
        frames = [frame for frame, _, _ in nic.transmit_queue]
        nic.transmit_queue.clear()
        return frames


__all__ = ["Router", "wire"]
