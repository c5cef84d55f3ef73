"""`-m udp`: ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.port import PORT_OPTIONS, PortMatch, is_foreign, read_native_ports

if TYPE_CHECKING:
    from emulator.kernel.netfilter.options import Options


class Udp(PortMatch, frozen=True):
    """`-p udp -m udp --dport 53`."""

    name = "udp"
    options: ClassVar[Mapping[str, int]] = PORT_OPTIONS
    invertible = frozenset(options)

    @property
    def native(self) -> bool:
        return True

    @classmethod
    def parse(cls, options: Options) -> Udp:
        foreign = is_foreign(options, "udp")
        return cls(*read_native_ports(options), foreign)
