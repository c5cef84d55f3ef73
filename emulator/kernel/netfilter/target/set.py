"""`-j SET`: adds what the packet has to an ipset, deletes it, or takes the packet's mark from there (xt_set.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.ipset.query import Addition, Query
from emulator.kernel.netfilter.ipset.rule_set import RuleSet, parse_rule_set
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LONGEST_TIMEOUT = 2_147_483  # IPSET_MAX_TIMEOUT: the kernel cuts longer ones
_U32 = 0xFFFFFFFF
_MAPS = ("--map-mark", "--map-prio", "--map-queue")
_NEEDS_ADD = (("--exist", "Flag"), ("--timeout", "Option"))
_TOO_EARLY = frozenset({"PREROUTING", "INPUT"})  # where no priority or queue may be set


class Set(Target, frozen=True):
    """Adds first, then deletes, then maps. Priorities and queues are taken and printed; links here have none."""

    name = "SET"
    options: ClassVar[Mapping[str, int]] = {
        "--add-set": 2,
        "--exist": 0,
        "--timeout": 1,
        "--del-set": 2,
        "--map-set": 2,
        **dict.fromkeys(_MAPS, 0),
    }

    add: RuleSet | None = None
    exist: bool = False
    timeout: int | None = None
    delete: RuleSet | None = None
    map: RuleSet | None = None
    maps: tuple[str, ...] = ()

    @classmethod
    def parse(cls, options: Options) -> Set:
        sets = [
            None if option is None else parse_rule_set(option)
            for option in (options.get(name) for name in ("--add-set", "--del-set", "--map-set"))
        ]
        if sets == [None, None, None]:
            raise RuleError("You must specify either `--add-set' or `--del-set' or `--map-set'")
        for name, kind in _NEEDS_ADD:
            if sets[0] is None and options.has(name):
                raise RuleError(f"{kind} `{name}' can be used with `--add-set' only")
        maps = tuple(name for name in _MAPS if options.has(name))
        if maps and sets[2] is None:
            raise RuleError(f"Flag `{maps[0]}' can be used with `--map-set' only")
        if sets[2] is not None and not maps:
            raise RuleError("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'")
        return cls(sets[0], options.has("--exist"), _timeout(options), sets[1], sets[2], maps=maps)

    def format(self) -> str:
        return " ".join(self._words("--"))

    def listing(self, names: Names) -> str:
        return " ".join(self._words(""))

    def _words(self, dashes: str) -> list[str]:
        words = []
        if self.add is not None:
            words.append(f"{dashes}add-set {self.add.format()}")
            if self.exist:
                words.append(f"{dashes}exist")
            if self.timeout is not None:
                words.append(f"{dashes}timeout {self.timeout}")
        if self.delete is not None:
            words.append(f"{dashes}del-set {self.delete.format()}")
        if self.map is not None:
            words.append(f"{dashes}map-set {self.map.format()}")
            words += [f"{dashes}{name[2:]}" for name in self.maps]
        return words

    def _sets(self) -> tuple[RuleSet, ...]:
        return tuple(each for each in (self.add, self.delete, self.map) if each is not None)

    def set_names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._sets())

    def check(self, netfilter: Netfilter, table: str, chain: str) -> None:
        for each in self._sets():
            each.check(netfilter)
        wire_only = "--map-prio" in self.maps or "--map-queue" in self.maps
        if self.map is not None and (table != "mangle" or (wire_only and chain in _TOO_EARLY)):
            raise KernelError("Invalid argument", f"SET: no priority or queue may be set in {chain}")

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        sets = context.netfilter.sets
        if self.add is not None:
            timeout = None if self.timeout is None else min(self.timeout, _LONGEST_TIMEOUT)
            sets.get(self.add.name).set.add_packet(skb, Addition(self.add.sources, self.exist, timeout))
        if self.delete is not None:
            sets.get(self.delete.name).set.delete_packet(skb, self.delete.sources)
        if self.map is not None:
            entry = sets.get(self.map.name).set.match(skb, Query(self.map.sources))
            if entry is not None and "--map-mark" in self.maps:
                skb.mark = (skb.mark & ~entry.mark_mask ^ entry.mark) & _U32
        return None


def _timeout(options: Options) -> int | None:
    option = options.get("--timeout")
    if option is None:
        return None
    try:
        return parse_integer(option.value, "--timeout", 0, _U32 - 1)
    except RuleError:
        raise RuleError(f"Invalid value for option --timeout or out of range 0-{_U32 - 1}") from None
