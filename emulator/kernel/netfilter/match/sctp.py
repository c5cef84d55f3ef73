"""`-m sctp`: ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.port import PORT_OPTIONS, PortMatch, read_ports

if TYPE_CHECKING:
    from emulator.kernel.netfilter.options import Options


@dataclass(frozen=True, slots=True)
class Sctp(PortMatch):
    """`-p sctp -m sctp --dport 3868`; chunk types are not looked at."""

    name = "sctp"
    options: ClassVar[Mapping[str, int]] = PORT_OPTIONS

    @classmethod
    def parse(cls, options: Options) -> Sctp:
        options.require_protocol("sctp")
        return cls(*read_ports(options))
