"""The set that a rule names, and which of the packet's values it looks up there: `NAME src,dst` (libxt_set.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.ipset.family import INET6
from emulator.kernel.netfilter.ipset.number import MAXIMUM_NAME

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Option

_MOST_DIRECTIONS = 6


class RuleSet(Struct, frozen=True):
    """`sources` has True for src and False for dst. More than the set's dimension do no harm; fewer never match."""

    name: str
    sources: tuple[bool, ...]

    def format(self) -> str:
        """Print it as in a rule."""
        return f"{self.name} {','.join('src' if source else 'dst' for source in self.sources)}"

    def check(self, netfilter: Netfilter) -> None:
        """Refuse a set that there is not, or that is of IPv6 addresses."""
        slot = netfilter.sets.find(self.name)
        if slot is None:
            raise RuleError(f"Set {self.name} doesn't exist.")
        if slot.set.family is INET6:
            raise RuleError(f"The protocol family of set {self.name} is IPv6, which is not applicable.")


def parse_rule_set(option: Option) -> RuleSet:
    """Read the two values of `--match-set`, `--add-set` and their like."""
    name, directions = option.values
    if len(name) > MAXIMUM_NAME:
        raise RuleError(f"setname `{name}' too long, max {MAXIMUM_NAME} characters.")
    sources: list[bool] = []
    for direction in directions.split(","):
        if len(sources) == _MOST_DIRECTIONS:
            raise RuleError(f"Can't be more src/dst options than {_MOST_DIRECTIONS}.")
        if direction[:3] not in ("src", "dst"):
            raise RuleError("You must spefify (the comma separated list of) 'src' or 'dst'.")
        sources.append(direction[:3] == "src")
    return RuleSet(name, tuple(sources))
