"""`-m osf`: the operating system that a SYN looks like, by fingerprints that `nfnl_osf` loads (xt_osf.c).

There is no such tool here: without fingerprints the kernel knows no packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_HOOKS = frozenset({Hook.PREROUTING, Hook.INPUT, Hook.FORWARD})
_LONGEST = 31


class Osf(Match, frozen=True):
    """`-p tcp -m osf --genre Linux --ttl 2`."""

    name = "osf"
    options: ClassVar[Mapping[str, int]] = {"--genre": 1, "--ttl": 1, "--log": 1}
    invertible = frozenset({"--genre"})

    genre: str
    ttl: int | None = None
    log: int | None = None
    inverted: bool = False

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Osf:
        genre = options.require("--genre")
        ttl, log = options.get("--ttl"), options.get("--log")
        match = cls(
            genre.value[:_LONGEST],
            None if ttl is None else parse_integer(ttl.value, "osf: --ttl", 0, 2),
            None if log is None else parse_integer(log.value, "osf: --log", 0, 2),
            genre.inverted,
        )
        if not options.has_protocol("tcp"):
            raise KernelError("Invalid argument", "osf needs -p tcp")
        return match

    def format(self) -> str:
        words = [f"{'! ' if self.inverted else ''}--genre {self.genre}"]
        words += [] if self.ttl is None else [f"--ttl {self.ttl}"]
        words += [] if self.log is None else [f"--log {self.log}"]
        return " ".join(words)

    def listing(self, names: Names) -> str:
        return f"OS fingerprint match {'! ' if self.inverted else ''}{self.genre}"

    def seen(self, skb: Skb, context: Context) -> str:
        return "no fingerprint"

    def matches(self, skb: Skb, context: Context) -> bool:
        return False
