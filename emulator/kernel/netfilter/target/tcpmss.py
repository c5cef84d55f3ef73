"""`-j TCPMSS`: lowers the segment size that a SYN asks for (xt_TCPMSS.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack.tcp_window import SYN
from emulator.kernel.netfilter.conntrack.tuple import TCP
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target
from emulator.packet.checksum import transport_checksum, update_checksum
from emulator.packet.ipv4 import fill_checksum

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_HEADERS = 40  # of IPv4 and TCP, without options
_DEFAULT_MSS = 536  # what a SYN without the option means
_LONGEST_HEADER = 60
_MSS = 2
_LARGEST = 65_515


class Tcpmss(Target, frozen=True):
    """`-j TCPMSS --clamp-mss-to-pmtu` (`size` None) or `--set-mss 1400`. Never raises it."""

    name = "TCPMSS"
    resizes = True
    options: ClassVar[Mapping[str, int]] = {"--set-mss": 1, "--clamp-mss-to-pmtu": 0}
    hooks = frozenset({Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING, Hook.INPUT, Hook.PREROUTING})

    size: int | None = None

    @classmethod
    def parse(cls, options: Options) -> Tcpmss:
        options.require_protocol("tcp")
        size = options.get("--set-mss")
        value = None if size is None else parse_integer(size.value, "TCPMSS: --set-mss", 0, _LARGEST)
        given = list(options.by_name)
        if given and given[-1] == "--clamp-mss-to-pmtu":  # of both options the last one counts
            return cls()
        if value is None:
            raise RuleError("TCPMSS target: At least one parameter is required")
        return cls(value)

    def format(self) -> str:
        return "--clamp-mss-to-pmtu" if self.size is None else f"--set-mss {self.size}"

    def listing(self, names: Names) -> str:
        return "TCPMSS clamp to PMTU" if self.size is None else f"TCPMSS set {self.size}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        data, transport = skb.data, skb.transport
        if not skb.fragment & 0x1FFF:
            skb.fragment_lengths = ()  # Linux makes the packet one piece to write to it, and so forgets its fragments
        if skb.fragment & 0x1FFF or len(data) < transport + 20 or not data[transport + 13] & SYN:
            return None
        size = self.size or _path_size(skb, context)
        header = (data[transport + 12] >> 4) * 4
        if not size or header < 20 or len(data) < transport + header:
            return None
        found = _find_option(data, transport + 20, transport + header)
        if found is not None:
            old = data[found + 2] << 8 | data[found + 3]
            if old > size:
                _patch(data, transport, found + 2, old, size)
        elif len(data) == transport + header and header <= _LONGEST_HEADER - 4:
            _insert(skb, min(size, _DEFAULT_MSS))
        return None


def _path_size(skb: Skb, context: Context) -> int:
    """Return the size that fits both ways."""
    if skb.route is None:
        return 0
    smallest = skb.route.mtu
    back = context.netns.ip.route_output(skb.saddr)
    if not isinstance(back, DropReason):
        smallest = min(smallest, back.mtu)
    return max(smallest - _HEADERS, 0)


def _find_option(data: bytearray, start: int, end: int) -> int | None:
    at = start
    while at + 3 < end:
        kind = data[at]
        if kind == _MSS and data[at + 1] == 4:
            return at
        at += 1 if kind < 2 or data[at + 1] == 0 else data[at + 1]
    return None


def _patch(data: bytearray, transport: int, at: int, old: int, new: int) -> None:
    data[at : at + 2] = new.to_bytes(2, "big")
    position = transport + 16
    # Linux takes the option to be aligned; where it is not, its checksum comes out wrong, and so does this one.
    checksum = update_checksum(data[position] << 8 | data[position + 1], old, new)
    data[position : position + 2] = checksum.to_bytes(2, "big")


def _insert(skb: Skb, size: int) -> None:
    """Put the option in front of the others; the headers grow by four bytes."""
    data, network, transport = skb.data, skb.network, skb.transport
    data[transport + 20 : transport + 20] = bytes((_MSS, 4)) + size.to_bytes(2, "big")
    data[transport + 12] += 0x10
    data[network + 2 : network + 4] = (len(data) - network).to_bytes(2, "big")
    fill_checksum(data, network)
    data[transport + 16 : transport + 18] = b"\0\0"
    checksum = transport_checksum(data[transport:], skb.saddr, skb.daddr, TCP)
    data[transport + 16 : transport + 18] = checksum.to_bytes(2, "big")
