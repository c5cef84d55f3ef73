"""What NAT does to one packet's bytes, and to the packet that an ICMP error quotes (nf_nat_proto.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import pull
from emulator.kernel.netfilter.conntrack.connection import (
    DST_NAT,
    DST_NAT_DONE,
    NAT_MASK,
    SRC_NAT,
    SRC_NAT_DONE,
    Connection,
)
from emulator.kernel.netfilter.conntrack.tuple import ICMP, PORT_PROTOCOLS, TCP, Tuple
from emulator.kernel.netfilter.hook import Verdict
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4
from emulator.packet.checksum import checksum, is_valid
from emulator.packet.rewrite import rewrite_destination, rewrite_source

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

_REDIRECT = 5
_TCP_HEADER = 20
_GRE_HEADER, _GRE_VERSION = 8, 7
_QUOTED_LENGTH = 8  # of a transport header that must be there to be rewritten (RFC 792)
_BOTH_DONE = SRC_NAT_DONE | DST_NAT_DONE


def rewrite(netns: Netns, skb: Skb, other: Tuple, *, source: bool, undo: bool) -> None:
    """Make a packet's source, or destination, what answers `other`: the tuple of the other direction.

    `undo` only tells a trace that this takes back what was done in the other direction.
    """
    before = _format(skb) if skb.trace is not None else ""
    is_query = skb.protocol == ICMP
    if skb.fragment_lengths:
        pull(skb, _TCP_HEADER if skb.protocol == TCP else _QUOTED_LENGTH)
    if source:
        address, port = other.daddr, other.sport if is_query else other.dport
        rewrite_source(skb.data, skb.network, skb.transport, skb.protocol, address, port)
        skb.saddr = address
        if not is_query:
            skb.sport = port
    else:
        address, port = other.saddr, other.sport
        rewrite_destination(skb.data, skb.network, skb.transport, skb.protocol, address, port)
        skb.daddr = address
        if not is_query:
            skb.dport = port
    if skb.trace is not None:
        skb.step(netns, StepKind.NAT, kind=_kind(source, undo), before=before, after=_format(skb))


def is_translatable_gre(skb: Skb, *, source: bool) -> bool:
    """Whether NAT lets a GRE packet pass: its header is there and, to change the destination, version 0 or PPTP's 1."""
    data, transport = skb.data, skb.transport
    return len(data) >= transport + _GRE_HEADER and (source or data[transport + 1] & _GRE_VERSION <= 1)


def _kind(source: bool, undo: bool) -> str:
    if undo:  # an answer's source is what the original's destination was made to
        return "un-DNAT" if source else "un-SNAT"
    return "SNAT" if source else "DNAT"


def _format(skb: Skb) -> str:
    source, destination = format_ipv4(skb.saddr), format_ipv4(skb.daddr)
    if skb.protocol in PORT_PROTOCOLS:
        return f"{source}:{skb.sport} > {destination}:{skb.dport}"
    return f"{source} > {destination}"


def rewrite_error(netns: Netns, skb: Skb, connection: Connection, is_reply: bool, *, source: bool) -> Verdict:
    """Rewrite an ICMP error and the packet it quotes (`nf_nat_icmp_reply_translation`)."""
    data, transport = skb.data, skb.transport
    inner = transport + 8
    if len(data) < inner + 20 or not is_valid(data[transport:]):
        netns.drop(skb, DropReason.ICMP_CSUM)
        return Verdict.DROP
    status = connection.status
    if data[transport] == _REDIRECT and (status & _BOTH_DONE != _BOTH_DONE or status & NAT_MASK):
        netns.drop(skb, DropReason.NETFILTER_DROP, table="nat", rule="an ICMP redirect about a translated connection")
        return Verdict.DROP
    wanted = SRC_NAT if source is not is_reply else DST_NAT
    if not status & wanted:
        return Verdict.ACCEPT
    other = connection.original if is_reply else connection.reply
    before = _format(skb) if skb.trace is not None else ""
    # The quoted packet went the other way, so its destination changes where this one's source does.
    if not _rewrite_quoted(data, inner, other, source=not source):
        netns.drop(skb, DropReason.INVALID_PROTO)
        return Verdict.DROP
    data[transport + 2 : transport + 4] = b"\0\0"
    data[transport + 2 : transport + 4] = checksum(data[transport:]).to_bytes(2, "big")
    if source:
        rewrite_source(data, skb.network, transport, ICMP, other.daddr, 0)
        skb.saddr = other.daddr
    else:
        rewrite_destination(data, skb.network, transport, ICMP, other.saddr, 0)
        skb.daddr = other.saddr
    if skb.trace is not None:
        skb.step(netns, StepKind.NAT, kind=_kind(source, is_reply), before=before, after=_format(skb))
    return Verdict.ACCEPT


def _rewrite_quoted(data: bytearray, inner: int, other: Tuple, *, source: bool) -> bool:
    """Make one end of a quoted packet what `other` says: it is a packet of that direction. False if it is too short."""
    protocol = data[inner + 9]
    header = inner + (data[inner] & 0xF) * 4
    if len(data) < header + (_QUOTED_LENGTH if protocol == ICMP or protocol in PORT_PROTOCOLS else 0):
        return False
    if source:
        rewrite_source(data, inner, header, protocol, other.saddr, other.sport)
    else:
        rewrite_destination(
            data, inner, header, protocol, other.daddr, other.sport if protocol == ICMP else other.dport
        )
    return True
