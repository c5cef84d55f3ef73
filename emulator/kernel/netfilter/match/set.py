"""`-m set`: whether what the packet has is in an ipset (xt_set.c). The set is found when the rule is taken in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.ipset.query import Comparison, CounterTest, Query
from emulator.kernel.netfilter.ipset.rule_set import RuleSet, parse_rule_set
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_U64 = (1 << 64) - 1
_COUNTERS = ("packets", "bytes")
_COMPARISONS = ("eq", "lt", "gt")


class Set(Match, frozen=True):
    """`--match-set KUBE-LOOP-BACK dst,dst,src`; with `--return-nomatch` it looks for exceptions."""

    name = "set"
    options: ClassVar[Mapping[str, int]] = {
        "--match-set": 2,
        "--set": 2,
        "--return-nomatch": 0,
        "--update-counters": 0,
        "--update-subcounters": 0,
        **{f"--{counter}-{comparison}": 1 for counter in _COUNTERS for comparison in _COMPARISONS},
    }
    invertible = frozenset(options)  # what may not be has a message of its own
    has_memory = True  # elements count the packets that they are asked for

    set: RuleSet
    inverted: bool
    query: Query

    @classmethod
    def parse(cls, options: Options) -> Set:
        option = options.get("--match-set") or options.get("--set")  # the name before version 1.4.13
        if option is None:
            raise RuleError("You must specify `--match-set' with proper arguments")
        nomatch = options.get("--return-nomatch")
        if nomatch is not None and nomatch.inverted:
            raise RuleError("--return-nomatch flag cannot be inverted")
        chosen = parse_rule_set(option)
        query = Query(
            chosen.sources,
            nomatch is not None,
            not _is_inverted(options, "--update-counters"),
            not _is_inverted(options, "--update-subcounters"),
            _counter_test(options, "packets"),
            _counter_test(options, "bytes"),
        )
        return cls(chosen, option.inverted, query)

    def format(self) -> str:
        return " ".join(self._words("--"))

    def listing(self, names: Names) -> str:
        return " ".join(self._words(""))

    def _words(self, dashes: str) -> list[str]:
        query = self.query
        words = [f"{'! ' if self.inverted else ''}{dashes}match-set {self.set.format()}"]
        if query.return_nomatch:
            words.append(f"{dashes}return-nomatch")
        if not query.update_counters:
            words.append(f"! {dashes}update-counters")
        if not query.update_subcounters:
            words.append(f"! {dashes}update-subcounters")
        for name, test in (("packets", query.packets), ("bytes", query.bytes)):
            if test is not None and test.comparison is Comparison.NE:
                words.append(f"! {dashes}{name}-eq {test.value}")
            elif test is not None:
                words.append(f"{dashes}{name}-{test.comparison.value} {test.value}")
        return words

    def seen(self, skb: Skb, context: Context) -> str:
        slot = context.netfilter.sets.find(self.set.name)
        if slot is None:
            return ""
        if len(self.set.sources) < slot.set.dimension:
            return f"{slot.name} is a {slot.set.name}, which needs {slot.set.dimension} directions"
        element = slot.set.packet_text(skb, self.set.sources) or "the packet"
        tested = "" if self.query.packets is None and self.query.bytes is None else " with such counters"
        return f"{element} is {'in' if self.inverted else 'not in'} {slot.name}{tested}"

    def set_names(self) -> tuple[str, ...]:
        return (self.set.name,)

    def check(self, netfilter: Netfilter, table: str, chain: str) -> None:
        self.set.check(netfilter)

    def matches(self, skb: Skb, context: Context) -> bool:
        return self.bind(context.netfilter)(skb, context)

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        slot, query, inverted = netfilter.sets.get(self.set.name), self.query, self.inverted
        return lambda skb, _: (slot.set.match(skb, query) is None) is inverted


def _is_inverted(options: Options, name: str) -> bool:
    option = options.get(name)
    return option is not None and option.inverted


def _counter_test(options: Options, counter: str) -> CounterTest | None:
    given = [name for comparison in _COMPARISONS if options.has(name := f"--{counter}-{comparison}")]
    if len(given) > 1:
        raise RuleError(f"only one of the --{counter}-[eq|lt|gt] is allowed")
    if not given:
        return None
    option = options.require(given[0])
    comparison = Comparison(option.name[-2:])
    if option.inverted:
        if comparison is not Comparison.EQ:
            raise RuleError(f"{option.name} option cannot be inverted")
        comparison = Comparison.NE
    try:
        return CounterTest(comparison, parse_integer(option.value, option.name, 0, _U64))
    except RuleError:
        raise RuleError(f"Cannot parse {option.value} as a counter value") from None
