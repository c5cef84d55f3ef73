"""`-m socket`: whether a local socket is open for the packet (xt_socket.c, nf_socket_ipv4.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.conntrack.connection import Connection, Status
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb
    from emulator.kernel.socket.base import Socket as OpenSocket

_HOOKS = frozenset({Hook.PREROUTING, Hook.INPUT})
_ICMP, _TCP, _UDP = 1, 6, 17
_ERRORS = frozenset({3, 4, 5, 11, 12})
_ICMP_HEADER, _IP_HEADER, _UDP_HEADER, _TCP_HEADER = 8, 20, 8, 20

Ends = tuple[int, int, int, int, int]  # protocol, remote address and port, local address and port


class Socket(Match, frozen=True):
    """`-m socket --transparent --nowildcard --restore-skmark`.

    Without `wildcard` a socket that is bound to no address does not count. Sockets here have no mark: restoring it
    clears the packet's.
    """

    name = "socket"
    options: ClassVar[Mapping[str, int]] = {"--transparent": 0, "--nowildcard": 0, "--restore-skmark": 0}

    prepares = True

    transparent: bool = False
    wildcard: bool = False
    restore_mark: bool = False

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Socket:
        return cls(*(options.has(name) for name in cls.options))

    def format(self) -> str:
        given = (self.transparent, self.wildcard, self.restore_mark)
        return " ".join(name for name, there in zip(self.options, given, strict=True) if there)

    def listing(self, names: Names) -> str:
        return f"socket {self.format()}".rstrip()

    def prepare(self, netfilter: Netfilter) -> None:
        """Have fragments put together before the rule sees them (nf_defrag_ipv4_enable)."""
        netfilter.enable_defragmentation()

    def seen(self, skb: Skb, context: Context) -> str:
        found = _find(skb, context)
        if found is None:
            return "no socket"
        return f"{found}{', transparent' if found.transparent else ''}"

    def matches(self, skb: Skb, context: Context) -> bool:
        found = _find(skb, context)
        if found is None or (found.laddr == 0 and not self.wildcard):
            return False
        if self.transparent and not found.transparent:
            return False
        if self.restore_mark:
            skb.mark = found.mark
        return True


def _find(skb: Skb, context: Context) -> OpenSocket | None:
    ends = _ends(skb)
    return None if ends is None else context.netns.sockets.find(*ends)


def _ends(skb: Skb) -> Ends | None:
    """Return whose socket to look for, or None for what has none."""
    data, start, protocol = skb.data, skb.transport, skb.protocol
    ct = skb.ct if isinstance(skb.ct, Connection) and skb.ct.status & Status.SRC_NAT else None
    if protocol in (_TCP, _UDP):
        if len(data) < start + (_TCP_HEADER if protocol == _TCP else _UDP_HEADER):
            return None
        raddr, rport = skb.saddr, data[start] << 8 | data[start + 1]
        laddr, lport = skb.daddr, data[start + 2] << 8 | data[start + 3]
        translated = ct is not None and skb.ctinfo is CtInfo.ESTABLISHED_REPLY
    elif protocol == _ICMP:
        quoted = _quoted(data, start)
        if quoted is None:
            return None
        protocol, raddr, rport, laddr, lport = quoted
        translated = ct is not None and skb.ctinfo is CtInfo.RELATED_REPLY
    else:
        return None
    if translated and ct is not None:  # the socket knows its address as it was before source NAT
        laddr, lport = ct.original.saddr, ct.original.sport
    return protocol, raddr, rport, laddr, lport


def _quoted(data: bytearray, start: int) -> Ends | None:
    """Read whom an ICMP error is about: the packet that it quotes is one of ours (extract_icmp4_fields)."""
    inner = start + _ICMP_HEADER
    if len(data) < inner + _IP_HEADER or data[start] not in _ERRORS or data[inner + 9] not in (_TCP, _UDP):
        return None
    ports = inner + (data[inner] & 0xF) * 4
    if len(data) < ports + 4:
        return None
    here, there = (int.from_bytes(data[inner + at : inner + at + 4], "big") for at in (12, 16))
    return data[inner + 9], there, data[ports + 2] << 8 | data[ports + 3], here, data[ports] << 8 | data[ports + 1]
