"""`-j REJECT`: drops the packet and answers it with an ICMP error or, if asked, a TCP RST (nf_reject_ipv4.c)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack.connection import CONFIRMED
from emulator.kernel.netfilter.conntrack.proto_tcp import set_closing
from emulator.kernel.netfilter.conntrack.tcp_window import ACK, RST, Segment
from emulator.kernel.netfilter.conntrack.tuple import ICMP, TCP, UDP
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.skb import CtInfo
from emulator.kernel.trace import StepKind
from emulator.packet.checksum import is_valid, pseudo_header_sum, transport_checksum

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_UNREACHABLE = 3
_OTHERWISE_CHECKED = frozenset({47, 50, 51, 132, 136})  # GRE ESP AH SCTP UDP-Lite
_TCP_HEADER = 20
_TCP_RESET = "tcp-reset"
# The codes of ICMP destination unreachable; the short names are older.
_CODES = {
    "icmp-net-unreachable": 0,
    "icmp-host-unreachable": 1,
    "icmp-proto-unreachable": 2,
    "icmp-port-unreachable": 3,
    "icmp-net-prohibited": 9,
    "icmp-host-prohibited": 10,
    "icmp-admin-prohibited": 13,
}
_ALIASES = {
    "net-unreach": "icmp-net-unreachable",
    "host-unreach": "icmp-host-unreachable",
    "proto-unreach": "icmp-proto-unreachable",
    "port-unreach": "icmp-port-unreachable",
    "net-prohib": "icmp-net-prohibited",
    "host-prohib": "icmp-host-prohibited",
    "admin-prohib": "icmp-admin-prohibited",
    "tcp-rst": _TCP_RESET,
}
_HEADER = struct.Struct("!HHIIBBHHH")


class Reject(Target, frozen=True):
    """`-j REJECT --reject-with icmp-port-unreachable`."""

    name = "REJECT"
    options: ClassVar[Mapping[str, int]] = {"--reject-with": 1}
    tables = frozenset({"filter"})
    hooks = frozenset({Hook.INPUT, Hook.FORWARD, Hook.OUTPUT})
    reason = DropReason.NETFILTER_REJECT

    answer: str = "icmp-port-unreachable"

    @classmethod
    def parse(cls, options: Options) -> Reject:
        option = options.get("--reject-with")
        if option is None:
            return cls()
        answer = _find(option.value)
        if answer == _TCP_RESET:
            options.require_protocol("tcp")
        return cls(answer)

    def format(self) -> str:
        return f"--reject-with {self.answer}"

    def listing(self, names: Names) -> str:
        return f"reject-with {self.answer}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return Verdict.DROP

    def after_drop(self, skb: Skb, context: Context) -> None:
        if skb.fragment & 0x1FFF or not _is_sound(skb, context):
            return
        if self.answer == _TCP_RESET:
            if skb.options is None or not skb.options.changed:  # who resets sums again, over the stale header too
                _send_reset(skb, context)
        else:
            context.netns.icmp.send_error(skb, _UNREACHABLE, _CODES[self.answer])


def _find(text: str) -> str:
    """Return the answer that a name, a short name, or what either begins with, stands for."""
    short = {answer: alias for alias, answer in _ALIASES.items()}
    wanted = text.lower()
    for answer in (*_CODES, _TCP_RESET):
        if wanted and (answer.startswith(wanted) or short[answer].startswith(wanted)):
            return answer
    raise RuleError(f'unknown reject type "{text}"')


def _is_sound(skb: Skb, context: Context) -> bool:
    """Whether the checksum over the payload holds: nothing answers a broken packet (`nf_reject_verify_csum`).

    Of protocols unknown to it Linux expects one too, as ICMP's is.
    """
    data, transport, protocol = skb.data, skb.transport, skb.protocol
    length = len(data) - transport
    if protocol in _OTHERWISE_CHECKED:
        return True
    if protocol == UDP and length >= 8 and not data[transport + 6] and not data[transport + 7]:
        return True
    if skb.options is not None and skb.options.changed and not _was_checked(skb, context):
        return False  # Linux sums over the IP header too, whose checksum is stale until the packet is forwarded
    pseudo = pseudo_header_sum(skb.saddr, skb.daddr, protocol, length) if protocol in (TCP, UDP) else 0
    return is_valid(data[transport : gso.payload_offset(skb)] if skb.gso_size else data[transport:], pseudo)


def _was_checked(skb: Skb, context: Context) -> bool:
    """Whether conntrack has looked at the checksum already, so that nobody does again (CHECKSUM_UNNECESSARY)."""
    conntrack = context.netfilter.conntrack
    tracked = conntrack.enabled and conntrack.checksum and skb.ctinfo is not CtInfo.UNTRACKED
    return tracked and skb.protocol in (TCP, UDP, ICMP)


def _send_reset(skb: Skb, context: Context) -> None:
    if len(skb.data) - skb.transport < _TCP_HEADER:
        return
    segment = Segment(skb.data, skb.transport)
    if segment.flags & RST:
        return
    if segment.flags & ACK:
        sequence, ack, flags = segment.ack, 0, RST
    else:
        sequence, ack, flags = 0, segment.end, RST | ACK
    header = bytearray(_HEADER.pack(skb.dport, skb.sport, sequence, ack, 5 << 4, flags, 0, 0, 0))
    checksum = transport_checksum(header, skb.daddr, skb.saddr, TCP)
    header[16:18] = checksum.to_bytes(2, "big")
    if skb.trace is not None:
        skb.step(context.netns, StepKind.REPLY, why="TCP reset, as the rule says")
    connection = skb.ct
    if connection is not None and connection.tcp is not None and connection.status & CONFIRMED:
        set_closing(context.netfilter.conntrack, connection)
    context.netfilter.answer(skb, TCP, bytes(header))
