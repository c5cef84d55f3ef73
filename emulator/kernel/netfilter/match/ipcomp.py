"""`-m ipcomp`: the SPI of RFC 3173 (xt_ipcomp.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emulator.kernel.netfilter.match.spi import SpiMatch


class Ipcomp(SpiMatch, frozen=True):
    """`-p ipcomp -m ipcomp --ipcompspi 256`."""

    name = "ipcomp"
    option = "--ipcompspi"
    options: ClassVar[Mapping[str, int]] = {"--ipcompspi": 1}
    invertible = frozenset(options)
    protocol = "ipcomp"
    word = listed = "comp"
    place = 2
    header = 4
    width = 2

    high: int = 0
