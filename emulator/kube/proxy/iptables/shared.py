"""A chain in which the rules of many service ports stand, sorted by their names: at which number each rule is.

So a change needs the lines `-D CHAIN n`, `-R CHAIN n …` and `-I CHAIN n …` of the ports that it concerns and no others,
where kube-proxy writes such a chain anew at each sync. What comes out is the same chain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from emulator.kube.proxy.service_port import ServicePortName

Change = tuple[ServicePortName, Sequence[str], Sequence[str]]
"""A service port with its rules before and from now on, without `-A CHAIN`."""


class SharedChain:
    """The place of each service port's rules in one chain. What stands behind all of them does not matter."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._owners: list[ServicePortName] = []  # of each rule, in order

    def fill(self, rules: Iterable[tuple[ServicePortName, Sequence[str]]]) -> list[str]:
        """Begin anew with these ports, sorted by their names; return the lines that append their rules."""
        self._owners = []
        lines = []
        for name, own in rules:
            self._owners += [name] * len(own)
            lines += [f"-A {self.name} {rule}" for rule in own]
        return lines

    def change(self, changes: Iterable[Change]) -> list[str]:
        """Return the lines that bring the chain up to date.

        The last ports come first, so that each number is one that the chain has before any of the lines: iptables need
        not look for rules that the same text has put in.
        """
        lines: list[str] = []
        for name, old, new in sorted(changes, key=lambda change: change[0], reverse=True):
            if old != new:
                start = bisect_left(self._owners, name)
                self._owners[start : start + len(old)] = [name] * len(new)
                lines += self._edit(start + 1, old, new)
        return lines

    def _edit(self, number: int, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
        """Yield the lines for one port, whose first rule has `number`; its last rule first."""
        both = min(len(old), len(new))
        for offset in reversed(range(both, len(old))):
            yield f"-D {self.name} {number + offset}"
        for rule in reversed(new[both:]):
            yield f"-I {self.name} {number + both} {rule}"
        for offset in reversed(range(both)):
            if old[offset] != new[offset]:
                yield f"-R {self.name} {number + offset} {new[offset]}"
