"""`-m ah`: the SPI of RFC 4302 (ipt_ah.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emulator.kernel.netfilter.match.spi import SpiMatch


class Ah(SpiMatch, frozen=True):
    """`-p ah -m ah --ahspi 256`."""

    name = "ah"
    option = "--ahspi"
    options: ClassVar[Mapping[str, int]] = {"--ahspi": 1}
    invertible = frozenset(options)
    protocol = "ah"
    word = "ah"
    listed = "ah "
    place = 4
    header = 12
    width = 4
