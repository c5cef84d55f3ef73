"""`-m physdev`: the bridge ports of a bridged packet (xt_physdev.c); others have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_NAMES = ("--physdev-in", "--physdev-out")
_FLAGS = ("--physdev-is-in", "--physdev-is-out", "--physdev-is-bridged")
_PRINTED = ("--physdev-is-in", "--physdev-in", "--physdev-is-out", "--physdev-out", "--physdev-is-bridged")
_LONGEST = 15


class Test(Struct, frozen=True):
    """One option; `pattern` is a link's name, or how it begins if it ends in +, and empty for the flags."""

    option: str
    pattern: str = ""
    inverted: bool = False

    def holds(self, incoming: str, outgoing: str) -> bool:
        """Whether ports of these names ("" for none) fulfil it."""
        port = incoming if self.option in ("--physdev-in", "--physdev-is-in") else outgoing
        if not self.pattern:
            return bool(port) is not self.inverted
        pattern = self.pattern
        found = port.startswith(pattern[:-1]) if pattern.endswith("+") else port == pattern
        return (found and bool(port)) is not self.inverted


class Physdev(Match, frozen=True):
    """`-m physdev --physdev-in veth0 --physdev-is-bridged`."""

    name = "physdev"
    options: ClassVar[Mapping[str, int]] = {**dict.fromkeys(_NAMES, 1), **dict.fromkeys(_FLAGS, 0)}
    invertible = frozenset(options)

    tests: tuple[Test, ...]

    @classmethod
    def parse(cls, options: Options) -> Physdev:
        if not options.by_name:
            raise RuleError("physdev: no physdev option specified")
        for name in _NAMES:
            option = options.get(name)
            if option is not None and not 0 < len(option.value) <= _LONGEST:
                raise RuleError(f"interface name `{option.value}' must be shorter than IFNAMSIZ ({_LONGEST})")
        given = [option for name in _PRINTED if (option := options.get(name))]
        return cls(tuple(Test(option.name, "".join(option.values), option.inverted) for option in given))

    def format(self) -> str:
        return " ".join(
            f"{'! ' if test.inverted else ''}{test.option}{' ' if test.pattern else ''}{test.pattern}"
            for test in self.tests
        )

    def listing(self, names: Names) -> str:
        return f"PHYSDEV match {self.format()}"

    def seen(self, skb: Skb, context: Context) -> str:
        links = ("none" if link is None else link.name for link in (skb.physical_in, skb.physical_out))
        return "bridge ports {} in, {} out".format(*links)

    def matches(self, skb: Skb, context: Context) -> bool:
        incoming = "" if skb.physical_in is None else skb.physical_in.name
        outgoing = "" if skb.physical_out is None else skb.physical_out.name
        # A packet that came in by a port and is not bridged on is of no outgoing port, and not of another one either.
        routed = skb.physical_in is not None and skb.physical_out is None
        return all(test.holds(incoming, outgoing) for test in self.tests) and not (routed and self.asks_outgoing)

    @property
    def asks_outgoing(self) -> bool:
        """Whether it names a port that the packet goes out by."""
        return any(test.option == "--physdev-out" for test in self.tests)
