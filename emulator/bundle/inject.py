"""Puts a packet into a node: as one that comes in at a link, or as one that the node itself makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.header import parse
from emulator.kernel.owner import ROOT_PROGRAM
from emulator.kernel.routing.route import RouteResult
from emulator.kernel.skb import Skb

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns
    from emulator.kernel.record import Record
    from emulator.kernel.trace import Trace

_IPV4 = b"\x08\x00"


def receive(link: Link, frame: bytearray, record: Record, trace: Trace | None = None) -> None:
    """Have a frame come in at a link, and the node do what it does at once."""
    skb = Skb(frame, trace)
    skb.record = record
    kernel = link.netns.kernel
    kernel.enqueue(link, skb)
    kernel.run(kernel.now)


def send(
    netns: Netns,
    frame: bytearray,
    record: Record,
    trace: Trace | None = None,
    *,
    cut: Callable[[bytearray, int], list[bytearray]] = lambda frame, _mtu: [frame],
) -> None:
    """Send a packet that the node makes: routed, through OUTPUT, and on (ip_queue_xmit).

    Its source address stays as it is; it counts as sent by a program of root's (`-m owner`), since a capture does not
    say whose it was. Of its Ethernet header only the type is looked at. `cut` makes of it the pieces that the route's
    MTU asks for.
    """
    skb = Skb(frame, trace)
    skb.record = record
    if frame[12:14] != _IPV4:
        netns.drop(skb, DropReason.UNHANDLED_PROTO)
        return
    frame[12:14] = b"\0\0"  # the link layer is to come
    reason = parse(skb)
    if reason is not None:
        netns.drop(skb, reason)
        return
    route = netns.routing.output(
        skb.daddr,
        saddr=skb.saddr,
        any_source=True,
        tos=skb.data[15],
        protocol=skb.protocol,
        ports=(skb.sport, skb.dport),
    )
    if not isinstance(route, RouteResult):
        netns.drop(skb, route)
        return
    for piece in cut(skb.data, route.mtu):
        each = Skb(piece, trace)
        each.record = record
        each.socket = ROOT_PROGRAM
        parse(each)
        netns.ip.local_out(each, route)
