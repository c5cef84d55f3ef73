"""Local delivery without sockets: which programs listen on the node is not in its saved state.

A packet that gets this far is delivered, and no socket answers it: no reset, no "port unreachable". What the kernel
answers by itself it does answer: an ICMP echo request, within the sysctls and rate limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.trace import StepKind
from emulator.packet.checksum import is_valid, pseudo_header_sum
from emulator.packet.icmp import ECHO_REPLY
from emulator.packet.ipv4 import PROTOCOL_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

ICMP, TCP, UDP = 1, 6, 17
_TCP_HEADER, _UDP_HEADER = 20, 8
_ALL_PROTOCOLS = range(256)


def take_deliveries(netns: Netns) -> None:
    """Have the namespace deliver to nobody."""
    answer = netns.protocols[ICMP]
    for protocol in _ALL_PROTOCOLS:
        netns.protocols[protocol] = _deliver(netns, _accept)
        netns.error_handlers[protocol] = _pass_over
    netns.protocols[TCP] = _deliver(netns, _examine_tcp)
    netns.protocols[UDP] = _deliver(netns, _examine_udp)
    netns.protocols[ICMP] = lambda skb: _answer(skb, answer)
    netns.icmp.handlers[ECHO_REPLY] = _pass_over


def _deliver(netns: Netns, examine: Callable[[Skb], DropReason | None]) -> Callable[[Skb], None]:
    def handler(skb: Skb) -> None:
        reason = examine(skb)
        if reason is not None:
            netns.drop(skb, reason)
            return
        if skb.record is not None:
            skb.record.delivered = True
        if skb.trace is not None:
            name = PROTOCOL_NAMES.get(skb.protocol, str(skb.protocol)).lower()
            skb.step(netns, StepKind.DELIVER, protocol=name, socket="")

    return handler


def _answer(skb: Skb, answer: Callable[[Skb], None]) -> None:
    """Let ICMP do what it does; a message that it merely passes over is delivered too."""
    record = skb.record
    answer(skb)
    if record is not None and set(record.drops) <= {DropReason.ICMP_IGNORED}:
        record.delivered = True


def _accept(_skb: Skb) -> None:
    """Find nothing wrong with a packet of a protocol that is not looked at."""


def _pass_over(_message: object) -> None:
    """Have no socket for it."""


def _examine_tcp(skb: Skb) -> DropReason | None:
    """Check as tcp_v4_rcv does before it looks for a socket."""
    data, start = skb.data, skb.transport
    size = len(data) - start
    if size < _TCP_HEADER or not _TCP_HEADER <= (data[start + 12] >> 4) * 4 <= size:
        return DropReason.PKT_TOO_SMALL
    pseudo = pseudo_header_sum(skb.saddr, skb.daddr, TCP, size)
    return None if is_valid(data[start:], pseudo) else DropReason.TCP_CSUM


def _examine_udp(skb: Skb) -> DropReason | None:
    """Check as udp_rcv does before it looks for a socket."""
    data, start = skb.data, skb.transport
    size = len(data) - start
    if size < _UDP_HEADER:
        return DropReason.PKT_TOO_SMALL
    length = data[start + 4] << 8 | data[start + 5]
    if not _UDP_HEADER <= length <= size:
        return DropReason.PKT_TOO_SMALL
    if data[start + 6 : start + 8] == b"\0\0":
        return None
    pseudo = pseudo_header_sum(skb.saddr, skb.daddr, UDP, length)
    return None if is_valid(data[start : start + length], pseudo) else DropReason.UDP_CSUM
