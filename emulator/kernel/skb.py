"""The one mutable carrier of a frame on its way through the stack, as Linux's `struct sk_buff`.

`data` is the whole frame from its Ethernet header. Whoever parses a layer notes its offset and key fields here once;
whoever rewrites bytes (NAT, TTL) keeps these fields equal to the bytes.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emulator.kernel.ip.options import Options
    from emulator.kernel.link.link import Link
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netns import Netns
    from emulator.kernel.record import Record
    from emulator.kernel.routing.route import RouteResult
    from emulator.kernel.trace import Detail, StepKind, Trace

ETHERNET_LENGTH = 14


class PacketType(enum.Enum):
    """Whom a received frame is for (include/uapi/linux/if_packet.h)."""

    HOST = 0
    BROADCAST = 1
    MULTICAST = 2
    OTHERHOST = 3
    OUTGOING = 4
    LOOPBACK = 5  # our own copy of a multicast or broadcast that we sent


class CtInfo(enum.IntEnum):
    """How a packet relates to its connection (`enum ip_conntrack_info`)."""

    ESTABLISHED = 0
    RELATED = 1
    NEW = 2
    ESTABLISHED_REPLY = 3
    RELATED_REPLY = 4
    UNTRACKED = 7


# As in `netfilter/hook.py`: members by their names in C, for every packet's way.
PACKET_HOST: Final = PacketType.HOST
PACKET_OTHERHOST: Final = PacketType.OTHERHOST
IP_CT_ESTABLISHED: Final = CtInfo.ESTABLISHED
IP_CT_NEW: Final = CtInfo.NEW
IP_CT_ESTABLISHED_REPLY: Final = CtInfo.ESTABLISHED_REPLY
IP_CT_RELATED_REPLY: Final = CtInfo.RELATED_REPLY
IP_CT_UNTRACKED: Final = CtInfo.UNTRACKED


class Skb:
    """A frame, what is known of it, and where it is going.

    Valid after `parse`: `network` and `transport` (offsets into `data`), `saddr`, `daddr` (ints), `protocol`,
    `sport`, `dport` (0 where the protocol has none, or in a later fragment), `fragment` (the raw flags-and-offset
    field). `ct is None` with `ctinfo` other than UNTRACKED is conntrack's INVALID.
    """

    __slots__ = (
        "bridge_source",
        "ct",
        "ctinfo",
        "daddr",
        "data",
        "dport",
        "fragment",
        "fragment_lengths",
        "fragment_max_size",
        "gso_size",
        "hops",
        "in_link",
        "ipvs",
        "mark",
        "network",
        "nf_trace",
        "options",
        "out_link",
        "packet_type",
        "physical_in",
        "physical_out",
        "prerouted",
        "protocol",
        "record",
        "route",
        "saddr",
        "socket",
        "sport",
        "trace",
        "transport",
    )

    def __init__(self, data: bytearray, trace: Trace | None = None) -> None:
        self.data = data
        self.network = ETHERNET_LENGTH
        self.transport = 0
        self.options: Options | None = None  # as `compile_options` found them, once the packet is routed
        self.saddr = 0
        self.daddr = 0
        self.protocol = 0
        self.sport = 0
        self.dport = 0
        self.fragment = 0
        self.fragment_max_size = 0  # of the largest fragment it was reassembled from; 0 if it never was in pieces
        self.fragment_lengths: tuple[int, ...] = ()  # payload bytes of each such fragment, in order
        self.gso_size = 0  # bytes of payload in each of the TCP segments that it stands for; 0 if it is one (gso.py)
        self.mark = 0
        self.ipvs = False  # IPVS has seen to it: it is balanced, or an answer of a real server (ipvs_property)
        self.nf_trace = False  # `-j TRACE` marked it
        self.ct: Connection | None = None
        self.ctinfo: CtInfo = IP_CT_NEW
        self.packet_type: PacketType = PACKET_HOST
        self.in_link: Link | None = None
        self.out_link: Link | None = None
        self.physical_in: Link | None = None  # the bridge port, where br_netfilter shows the bridge as in_link
        self.physical_out: Link | None = None
        self.prerouted = False  # PREROUTING has seen it on the bridge; IP must not run it again
        self.bridge_source: bytes | None = None  # the sender's MAC, while a bridged DNAT waits for ARP
        self.route: RouteResult | None = None
        self.socket: object | None = None  # the local socket that sent it
        self.hops = 0  # links crossed inside this machine; a loop is cut at a cap
        self.record: Record | None = None  # of a replayed packet, its copies and its fragments
        self.trace = trace

    def clone(self) -> Skb:
        """Copy for another receiver (a flooded frame): own bytes, same connection and trace."""
        return self.clone_without_data(bytearray(self.data))

    def clone_without_data(self, data: bytearray) -> Skb:
        """Copy all but the bytes, which are given (a fragment)."""
        copy = Skb(data, self.trace)
        for name in _COPIED:
            setattr(copy, name, getattr(self, name))
        return copy

    def forget_ownership(self) -> None:
        """Drop what must not cross into another namespace, as Linux's `skb_scrub_packet` does."""
        self.ct = None
        self.ctinfo = IP_CT_NEW
        self.mark = 0
        self.ipvs = False
        self.nf_trace = False
        self.route = None
        self.socket = None
        self.physical_in = None
        self.physical_out = None
        self.prerouted = False
        self.bridge_source = None
        self.out_link = None
        self.fragment_max_size = 0
        self.fragment_lengths = ()

    def step(self, netns: Netns, kind: StepKind, /, **detail: Detail) -> None:
        """Record a trace step. Call it only behind `if skb.trace is not None`, so that others pay nothing."""
        from emulator.kernel.describe import describe

        if self.trace is not None:
            kernel = netns.kernel
            self.trace.add(kind, kernel.now, kernel.name, netns.name, describe(self), **detail)


_COPIED = tuple(name for name in Skb.__slots__ if name not in {"data", "trace"})
