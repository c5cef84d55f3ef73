"""`-m esp`: the SPI of RFC 4303 (xt_esp.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emulator.kernel.netfilter.match.spi import SpiMatch


class Esp(SpiMatch, frozen=True):
    """`-p esp -m esp --espspi 256`."""

    name = "esp"
    option = "--espspi"
    options: ClassVar[Mapping[str, int]] = {"--espspi": 1}
    invertible = frozenset(options)
    protocol = "esp"
    word = listed = "esp"
    place = 0
    header = 8
    width = 4
