"""`-m state`: the older form of `-m conntrack --ctstate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.match.ctstate import format_state, format_states, parse_states, state_of

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class State(Match, frozen=True):
    """`-m state --state NEW,RELATED`; `states` are bits of `ctstate`."""

    name = "state"
    options: ClassVar[Mapping[str, int]] = {"--state": 1}
    invertible = frozenset(options)
    needs_conntrack = True

    states: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> State:
        option = options.require("--state")
        return cls(parse_states(option.value, "state", virtual=False), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--state {format_states(self.states)}"

    def listing(self, names: Names) -> str:
        return f"{'! ' if self.inverted else ''}state {format_states(self.states)}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"state {format_state(skb)}"

    def matches(self, skb: Skb, context: Context) -> bool:
        return bool(state_of(skb) & self.states) is not self.inverted
