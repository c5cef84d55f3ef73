"""A peer that is played by hand: segments go into a namespace, and what it sends is compared with the script.

`book.give("S", 0)` is a segment from the peer; `book.expect("S.", seq=0, ack=1)` what must come next. Sequence numbers
count from each side's SYN.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.tcp.connection import TcpSocket
from emulator.packet.address import ipv4_to_int
from emulator.packet.ethernet import EthernetHeader
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.tcp import TcpHeader, format_flags
from emulator.packet.tcp_options import TcpOptions
from tests.kernel.socket_world import CLIENT, MAC_CLIENT, MAC_SERVER, SERVER, attach

PEER, OWN = ipv4_to_int(CLIENT), ipv4_to_int(SERVER)
PEER_PORT, OWN_PORT = 5555, 80
PEER_ISN = 0xFFFFFF00  # so that every longer test crosses the wrap
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16}


@dataclass(frozen=True)
class Seen:
    """A segment that the namespace sent; numbers relative to the SYNs."""

    flags: str
    seq: int
    ack: int
    payload: bytes
    window: int
    options: TcpOptions


class Playbook:
    """One namespace with a NIC, and the peer's side of one connection."""

    def __init__(self, *, timestamps: bool = False, sack: bool = False, mtu: int = 1500) -> None:
        self.kernel = Kernel("machine", random.Random(1))
        self.netns = Netns(self.kernel, "own")
        self.nic = Nic(self.netns, "eth0", MAC_SERVER, mtu)
        attach(self.netns, self.nic, SERVER)
        self.netns.neighbours.add(self.nic, PEER, MAC_CLIENT)
        for name, value in (("tcp_timestamps", timestamps), ("tcp_sack", sack)):
            self.netns.sysctl.set(f"net.ipv4.{name}", int(value))
        self.own_isn: int | None = None
        self.own_port = OWN_PORT
        self.peer_port = PEER_PORT

    def give(
        self,
        flags: str,
        seq: int,
        ack: int | None = None,
        payload: bytes = b"",
        *,
        window: int = 65_535,
        options: TcpOptions | None = None,
    ) -> None:
        """Let a segment of the peer come in."""
        bits = sum(FLAGS[letter] for letter in flags)
        header = TcpHeader(
            self.peer_port,
            self.own_port,
            PEER_ISN + seq & 0xFFFFFFFF,
            0 if ack is None else (self.own_isn or 0) + ack & 0xFFFFFFFF,
            bits,
            window,
            options=(options or TcpOptions()).build(),
        )
        segment = header.build(payload, PEER, OWN)
        self.give_packet(Ipv4Header(PEER, OWN, 6, ttl=64).build(segment))

    def give_packet(self, packet: bytes) -> None:
        """Let any IPv4 packet of the peer come in."""
        self.nic.receive_frame(EthernetHeader(MAC_SERVER, MAC_CLIENT, 0x0800).build(packet))
        self.run()

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        end = self.kernel.now + seconds
        while (deadline := self.kernel.next_deadline()) is not None and deadline <= end:
            self.kernel.run(deadline)
        self.kernel.run(end)
        assert not self.kernel.faults, self.kernel.faults[0].error

    def sent(self) -> list[Seen]:
        """Take everything that was sent since the last look."""
        self.run()
        seen = []
        while self.nic.transmit_queue:
            frame = self.nic.transmit_queue.popleft()[0]
            ip = Ipv4Header.parse(frame, 14)
            start = 14 + ip.header_length
            header = TcpHeader.parse(frame, start)
            payload = frame[start + header.header_length : 14 + ip.total_length]
            if header.flags & 2:
                self.own_isn = header.sequence
                self.own_port = header.source_port
            isn = self.own_isn or 0
            ack = header.acknowledgement - PEER_ISN & 0xFFFFFFFF if header.flags & 16 else 0
            seen.append(
                Seen(
                    format_flags(header.flags),
                    header.sequence - isn & 0xFFFFFFFF,
                    ack,
                    payload,
                    header.window,
                    header.parse_options(),
                )
            )
        return seen

    def expect(self, flags: str, *, seq: int, ack: int = 0, payload: bytes = b"") -> Seen:
        """One segment, and no other, must have been sent."""
        seen = self.sent()
        assert [(one.flags, one.seq, one.ack, one.payload) for one in seen] == [(flags, seq, ack, payload)]
        return seen[0]

    def expect_nothing(self) -> None:
        """Nothing must have been sent."""
        assert self.sent() == []

    def accepted(self) -> TcpSocket:
        """Go through a handshake with the peer as client."""
        listener = self.netns.sockets.listen(("0.0.0.0", OWN_PORT))
        self.give("S", 0, options=TcpOptions(mss=1000))
        self.expect("S.", seq=0, ack=1)
        self.give(".", 1, 1)
        self.expect_nothing()
        socket = listener.accept()
        assert socket is not None
        return socket

    def connected(self, window: int = 65_535) -> TcpSocket:
        """Go through a handshake with the peer as server."""
        socket = self.netns.sockets.connect((CLIENT, PEER_PORT))
        self.expect("S", seq=0)
        self.give("S.", 0, 1, options=TcpOptions(mss=1000), window=window)
        self.expect(".", seq=1, ack=1)
        return socket
