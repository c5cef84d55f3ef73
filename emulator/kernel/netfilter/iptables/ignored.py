"""A rule that uses what is not here, kept because the user asked for it: printed as written, never matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.error import Unknown
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.netfilter.iptables.rule import Predicate
    from emulator.kernel.skb import Skb


class Ignored(Struct, frozen=True):
    """What stands in place of a rule's tests and target: its text after `-A CHAIN `, and what in it is not here."""

    text: str
    unknown: Unknown

    def predicate(self, chain: Chain, number: int) -> Predicate:
        """Return the test that no packet passes; a traced or recorded packet notes that it came by."""
        table, name = chain.table.name, chain.name

        def never(skb: Skb, context: Context) -> bool:
            if skb.record is not None:
                skb.record.ignored.append((chain, number))
            if skb.trace is not None:
                skb.step(
                    context.netns,
                    StepKind.IGNORED,
                    table=table,
                    chain=name,
                    number=number,
                    rule=f"-A {name} {self.text}".rstrip(),
                    unknown=str(self.unknown),
                )
            return False

        return never


class IgnoredLine(Struct, frozen=True):
    """Which line of a text was kept as an ignored rule, and why."""

    line: int
    unknown: Unknown
