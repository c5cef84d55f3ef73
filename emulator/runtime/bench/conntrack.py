"""What connections cost a node: memory an entry, time to make, find and end them, in tables of hundreds of thousands.

The packets are real and pass the hooks of connection tracking and NAT in a kernel of their own, without links and
routes around them. Each kind is measured in a process of its own, since memory that was freed is taken again.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netns import Netns
from emulator.kernel.skb import ETHERNET_LENGTH, Skb
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.tcp import ACK, PSH, SYN, TcpHeader
from emulator.packet.udp import UdpHeader

CLIENTS, SERVER, VIP, MASQUERADE = 0x0A000000, 0x0A800002, 0x0A600001, 0x0A800001
KINDS = ("udp", "tcp", "tcp-nat")
_RULES = """*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
"""
_NAT_RULES = """*nat
-A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.128.0.2:8080
-A POSTROUTING -j SNAT --to-source 10.128.0.1-10.128.63.254
COMMIT
"""
_PORTS = 5_000  # connections of one client, whose address SNAT then shares with few others
_LOOKUPS = 100_000
_PAUSE = 1e-5  # seconds between two connections
_FOREVER = 432_001.0  # later than any timeout, in seconds


class Cost(NamedTuple):
    """What one kind of connection cost; times are the processor's."""

    kind: str  # "udp": one packet; "tcp": opened and with data; "tcp-nat": the same, source and destination translated
    entries: int
    bytes_an_entry: float
    inserts_a_second: float
    lookup_us: float  # a packet of a known connection, anywhere in the table
    expire_us: float  # for each entry, when all end


def measure(entries: int, note: Callable[[str], None]) -> list[Cost]:
    """Measure each kind, one after the other."""
    costs = []
    for kind in KINDS:
        note(f"{kind}: {entries} connections")
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            costs.append(pool.submit(measure_kind, kind, entries).result())
    return costs


def measure_kind(kind: str, entries: int) -> Cost:
    """Make the connections, look them up, and let them end, in this process."""
    bed = _Bed(kind)
    bed.open(entries)  # one more, so that what the first connection brings along is there
    gc.collect()
    before, began = _resident(), time.process_time()
    for number in range(entries):
        bed.open(number)
    inserting = time.process_time() - began
    gc.collect()
    used = _resident() - before
    assert len(bed.conntrack) == entries + 1
    lookups = min(entries, _LOOKUPS)
    numbers = random.Random(1).choices(range(entries), k=lookups)
    skbs = [bed.later(number) for number in numbers]
    began = time.process_time()
    for skb in skbs:
        bed.conntrack.handle(bed.netns, Hook.PREROUTING, skb)
    looking = time.process_time() - began
    assert all(skb.ct is not None for skb in skbs)
    del skbs
    began = time.process_time()
    bed.end_all()
    ending = time.process_time() - began
    assert len(bed.conntrack) == 0
    return Cost(
        kind, entries, used / entries, entries / inserting, looking / lookups * 1e6, ending / (entries + 1) * 1e6
    )


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Bed:
    """A namespace with rules, and the packets of any number of connections."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.kernel = Kernel("bench", random.Random(1))
        self.netns = Netns(self.kernel, "root")
        self.conntrack = self.netns.netfilter.conntrack
        self.netns.sysctl.set("net.netfilter.nf_conntrack_max", 0)
        self.netns.sysctl.set("net.netfilter.nf_conntrack_checksum", 0)
        self.netns.netfilter.restore(_RULES + (_NAT_RULES if kind == "tcp-nat" else ""))

    def open(self, number: int) -> None:
        """Let the first packets of a connection pass, each connection a little later than the one before."""
        self.kernel.run(self.kernel.now + _PAUSE)
        for skb in self._opening(number):
            for hook in (Hook.PREROUTING, Hook.FORWARD, Hook.POSTROUTING):
                verdict = self.netns.netfilter.run(hook, skb)
                assert verdict is Verdict.ACCEPT

    def _opening(self, number: int) -> Iterator[Skb]:
        source, port = self._client(number)
        if self.kind == "udp":
            yield _skb(17, source, SERVER, UdpHeader(port, 53).build(b"query", source, SERVER))
            return
        here, there = number * 7919 & 0xFFFFFFFF, number * 104_729 & 0xFFFFFFFF
        first = self._forth(source, port, SYN, here, 0)
        yield first
        assert first.ct is not None
        reply = first.ct.reply
        ends = (reply.saddr, reply.sport, reply.daddr, reply.dport)
        yield _segment(ends, SYN | ACK, there, here + 1)
        yield self._forth(source, port, ACK | PSH, here + 1, there + 1, 300)
        yield _segment(ends, ACK | PSH, there + 1, here + 301, 400)

    def _forth(self, source: int, port: int, flags: int, seq: int, ack: int, length: int = 0) -> Skb:
        destination = VIP if self.kind == "tcp-nat" else SERVER
        return _segment((source, port, destination, 80), flags, seq, ack, length)

    @staticmethod
    def _client(number: int) -> tuple[int, int]:
        return CLIENTS + 1 + number // _PORTS, 1_024 + number % 64_000

    def later(self, number: int) -> Skb:
        """Return one more packet of a connection's client."""
        source, port = self._client(number)
        if self.kind == "udp":
            return _skb(17, source, SERVER, UdpHeader(port, 53).build(b"query", source, SERVER))
        here, there = number * 7919 & 0xFFFFFFFF, number * 104_729 & 0xFFFFFFFF
        return self._forth(source, port, ACK, here + 301, there + 401)

    def end_all(self) -> None:
        """Let so much time pass that every entry ends by itself."""
        end = self.kernel.now + _FOREVER
        while (deadline := self.kernel.next_deadline()) is not None and deadline <= end:
            self.kernel.run(deadline)
        self.kernel.run(end)


def _segment(ends: tuple[int, int, int, int], flags: int, seq: int, ack: int, length: int = 0) -> Skb:
    source, sport, destination, dport = ends
    header = TcpHeader(sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, 60_000)
    return _skb(6, source, destination, header.build(bytes(length), source, destination))


_PORT_PAIR = struct.Struct("!HH")


def _skb(protocol: int, source: int, destination: int, segment: bytes) -> Skb:
    """Return a packet as IP input has parsed it."""
    packet = Ipv4Header(source, destination, protocol).build(segment)
    skb = Skb(bytearray(ETHERNET_LENGTH) + packet)
    skb.transport = ETHERNET_LENGTH + 20
    skb.saddr, skb.daddr, skb.protocol = source, destination, protocol
    skb.sport, skb.dport = _PORT_PAIR.unpack_from(segment)
    return skb
