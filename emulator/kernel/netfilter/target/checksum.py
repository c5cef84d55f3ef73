"""`-j CHECKSUM`: fills in checksums that hardware was to compute. Here they always are, so it does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Checksum(Target, frozen=True):
    """`-j CHECKSUM --checksum-fill`."""

    name = "CHECKSUM"
    options: ClassVar[Mapping[str, int]] = {"--checksum-fill": 0}
    tables = frozenset({"mangle"})

    @classmethod
    def parse(cls, options: Options) -> Checksum:
        if not options.has("--checksum-fill"):
            raise RuleError("CHECKSUM target: Parameter --checksum-fill is required")
        return cls()

    def format(self) -> str:
        return "--checksum-fill"

    def listing(self, names: Names) -> str:
        return "CHECKSUM fill"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None
