"""A flow: who wants to speak to whom, as users write it, and its first packet."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from emulator.packet import ethernet, ipv4
from emulator.packet.address import format_ipv4
from emulator.packet.sctp import Chunk, ChunkType, SctpHeader
from emulator.packet.tcp import SYN, TcpHeader
from emulator.packet.udp import UdpHeader

PROTOCOLS: Mapping[str, int] = {"TCP": 6, "UDP": 17, "SCTP": 132}
FIRST_PORT = 40_000
"""Source port of a flow that names none."""

_INIT = bytes.fromhex("00000001000100000001000100000001")  # tag, window, streams out and in, first TSN


class Expectation(Struct, frozen=True):
    """What a flow should come to; None stands for what does not matter. `endpoints` are "ip:port", in any order."""

    verdict: str | None = None
    endpoints: frozenset[str] | None = None
    masquerade: bool | None = None


class Flow(Struct, frozen=True):
    """One flow. Addresses are integers; `expect` has what is expected by mode, and under "" in all other modes."""

    name: str
    source: int
    destination: int
    port: int
    protocol: str = "TCP"
    source_port: int = FIRST_PORT
    expect: Mapping[str, Expectation] = field(default_factory=dict)

    def expected(self, mode: str) -> Expectation | None:
        """Return what is expected in a mode, or None."""
        return self.expect.get(mode, self.expect.get(""))

    def __str__(self) -> str:
        return f"{format_ipv4(self.source)} → {format_ipv4(self.destination)}:{self.port}/{self.protocol.lower()}"


def first_packet(flow: Flow, source_port: int, destination_mac: int, source_mac: int) -> bytearray:
    """Return the frame that a client sends first: a SYN, a datagram or an INIT."""
    source, destination = flow.source, flow.destination
    if flow.protocol == "TCP":
        segment = TcpHeader(source_port, flow.port, 1, flags=SYN, window=64_240).build(b"", source, destination)
    elif flow.protocol == "UDP":
        segment = UdpHeader(source_port, flow.port).build(b"podwire", source, destination)
    else:
        segment = SctpHeader(source_port, flow.port, 0).build([Chunk(ChunkType.INIT, value=_INIT)])
    header = ipv4.build_header(source, destination, PROTOCOLS[flow.protocol], len(segment))
    return bytearray(ethernet.build_header(destination_mac, source_mac, 0x0800) + header + segment)
