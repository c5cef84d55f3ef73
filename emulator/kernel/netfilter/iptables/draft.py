"""The chains of a table while it is being edited: those that change are copied first, all others are the table's own.

So an edit costs what it changes, however many chains the table has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.iptables.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulator.kernel.netfilter.iptables.rule import Rule, RuleSpec
    from emulator.kernel.netfilter.iptables.table import Table
    from emulator.kernel.netfilter.match.base import Memory


class Draft(Mapping[str, Chain]):
    """Chains by name, as they will be. `own` are those that were made or copied; nothing else may be changed.

    `users` and `memories` are by how many more rules (or fewer) jump to a chain, or name a list, than before.
    """

    def __init__(self, table: Table) -> None:
        self.own: dict[str, Chain] = {}
        self.gone: set[str] = set()
        self.users: Counter[str] = Counter()
        self.memories: Counter[Memory] = Counter()
        self.fresh: list[Rule] = []
        self.dropped = False  # whether any rule went
        self.bounds: Mapping[str, tuple[int, int]] = {}  # heights and hooks that were looked up anew
        self._table = table
        self._live = table.chains

    # Reading

    def __getitem__(self, name: str) -> Chain:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, name: str, default: Chain | None = None) -> Chain | None:  # type: ignore[override]
        """Return a chain for reading."""
        found = self.own.get(name)
        if found is None and name not in self.gone:
            found = self._live.get(name)
        return default if found is None else found

    def __contains__(self, name: object) -> bool:
        return name in self.own or (name in self._live and name not in self.gone)

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._live if name not in self.gone)
        yield from (name for name in self.own if name not in self._live)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def live(self, name: str) -> Chain | None:
        """Return a chain as packets see it now; None for one that is new."""
        return self._live.get(name)

    def jumps_to(self, name: str) -> int:
        """Return how many rules jump to a chain."""
        return self[name].users + self.users[name]

    # Changing

    def writable(self, name: str) -> Chain | None:
        """Return a chain that may be changed."""
        found = self.own.get(name)
        if found is None and name not in self.gone:
            live = self._live.get(name)
            if live is not None:
                found = self.own[name] = live.copy()
        return found

    def add(self, name: str) -> Chain:
        """Make a user chain that is not there."""
        self.gone.discard(name)
        self.users[name] = 0  # of one that was taken away by this edit they do not count
        made = self.own[name] = Chain(self._table, name)
        return made

    def remove(self, name: str) -> None:
        """Take away a user chain without rules."""
        self.own.pop(name, None)
        if name in self._live:
            self.gone.add(name)

    def count(self, rule: Rule) -> None:
        """Note a rule that was put into a chain."""
        self.fresh.append(rule)
        self._count(rule.spec, 1)

    def uncount(self, rules: Iterable[Rule]) -> None:
        """Note rules that were taken out of a chain."""
        for rule in rules:
            self.dropped = True
            self._count(rule.spec, -1)

    def _count(self, spec: RuleSpec, by: int) -> None:
        if spec.jump:
            self.users[spec.jump] += by
        for match in spec.matches:
            if match.has_memory and (memory := match.memory()) is not None:
                self.memories[memory] += by

    def clear(self) -> None:
        """Begin with empty built-in chains that accept, as a restore without --noflush does."""
        for name, chain in self._live.items():
            self.uncount(chain.rules)
            if chain.builtin:
                self.own[name] = chain.emptied()
            else:
                self.gone.add(name)

    def apply(self) -> None:
        """Let packets see it. A chain stays the same object, since rules that jump to it are bound to it."""
        for name in self.gone:
            del self._live[name]
        for name, chain in self.own.items():
            live = self._live.get(name)
            if live is None:
                self._live[name] = chain
            else:
                live.take(chain)
        for name, more in self.users.items():
            if more and name in self._live:
                self._live[name].users += more
        for name, bound in self.bounds.items():
            self._live[name].height, self._live[name].hooks = bound
