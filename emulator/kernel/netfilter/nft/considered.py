"""What a trace tells of nft rules: why one did not match, and what a map had for the packet of one that did.

Nothing that a rule remembers changes because somebody looks: the walk hands over the statement that it broke off at,
and what it compared is read from the packet once more, unless that would draw or count (`numgen`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.iptables.considered import Miss
from emulator.kernel.netfilter.nft.datatype import IFINDEX, PROTOCOL, Datatype, Scalar
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression, Masked
from emulator.kernel.netfilter.nft.expression.generated import Jhash, Numgen
from emulator.kernel.netfilter.nft.expression.lookup import MapLookup, VerdictMap, bind_value
from emulator.kernel.netfilter.nft.statement.dynamic import Dynamic
from emulator.kernel.netfilter.nft.statement.mangle import Bitwise, SetMark
from emulator.kernel.netfilter.nft.statement.match import FlagMatch, Match
from emulator.kernel.netfilter.nft.statement.statement import Rejected
from emulator.kernel.netfilter.nft.statement.translate import Translate
from emulator.kernel.netfilter.nft.statement.verdict import Outcome
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.nft.element import Element
    from emulator.kernel.netfilter.nft.expression.expression import Key
    from emulator.kernel.netfilter.nft.statement.statement import Statement
    from emulator.kernel.netfilter.nft.table import NftChain, NftRule, NftTable
    from emulator.kernel.skb import Skb

_ANY = -1  # transport protocol of what every packet has


def note_miss(chain: NftChain, rule: NftRule, statement: Statement, skb: Skb, context: Context) -> None:
    """Tell a packet's trace of a rule that did not match, and of the statement that it was left at."""
    miss = _miss(statement, chain.table, skb, context)
    skb.step(
        context.netns,
        StepKind.CONSIDERED,
        table=chain.table.title,
        chain=chain.name,
        number=rule.number,
        rule=rule.format(stateless=True),
        test=miss.test,
        seen=miss.seen,
        wanted=miss.wanted,
    )


def note_match(
    chain: NftChain, rule: NftRule, last: Statement | None, outcome: Outcome | None, skb: Skb, context: Context
) -> None:
    """Tell a packet's trace of a rule that matched. `last` is the statement that gave its verdict, if it gave one."""
    found = "" if last is None or outcome is None else _found(last, outcome, chain.table, skb, context)
    skb.step(
        context.netns,
        StepKind.RULE,
        table=chain.table.title,
        chain=chain.name,
        number=rule.number,
        rule=rule.format(stateless=True),
        verdict=_verdict(last, outcome),
        **({"found": found} if found else {}),
    )


def _verdict(last: Statement | None, outcome: Outcome | None) -> str:
    """Return the chain that the packet goes to, what NAT is set up, or the verdict."""
    if outcome is None:
        return "CONTINUE"
    if isinstance(outcome, Rejected):
        return "REJECT"
    if isinstance(last, Translate):
        return last.kind.upper()
    return outcome.chain or outcome.kind.upper()


def _found(last: Statement, outcome: Outcome, table: NftTable, skb: Skb, context: Context) -> str:
    """Return the element of the map that the last statement looked in, as a listing has it; empty if it has none."""
    texts = []
    for lookup in _maps(last):
        found = lookup.found.resolve(table)
        element: Element | None = None
        if _repeatable(lookup.key):
            key = lookup.found.key_getter(lookup.key.bind(context.netns.netfilter), table)(skb, context)
            element = None if key is None else found.find(key)
        elif isinstance(lookup, VerdictMap):  # the verdict tells which number it was
            element = next((each for each in found if each.data is outcome), None)
        if element is not None:
            declaration = found.declaration
            texts.append(element.format(declaration.types, declaration.data_types, 0.0, stateless=True))
    return ", ".join(texts)


def _miss(statement: Statement, table: NftTable, skb: Skb, context: Context) -> Miss:
    whole = statement.format(stateless=True)
    if isinstance(statement, Match | FlagMatch):
        left, test = statement.left, statement.left.format()
        if left.transport not in (_ANY, skb.protocol):
            return Miss("meta l4proto", PROTOCOL.format(skb.protocol), PROTOCOL.format(left.transport))
        return Miss(test, _seen(left, table, skb, context), whole.removeprefix(test).lstrip())
    for lookup in _maps(statement):
        key = _seen(lookup.key, table, skb, context)
        return Miss(lookup.key.format(), key, f"an element of {lookup.found.format()}")
    if isinstance(statement, Dynamic) and table.sets[statement.set_name].full():
        return Miss(f"@{statement.set_name}", "full", "room for an element")
    return Miss(whole, "", "")


def _maps(statement: Statement) -> list[VerdictMap | MapLookup]:
    if isinstance(statement, VerdictMap):
        return [statement]
    values: tuple[object, ...] = ()
    if isinstance(statement, Translate):
        values = (statement.address, statement.port)
    elif isinstance(statement, SetMark):
        values = (statement.value,)
    return [value for value in values if isinstance(value, MapLookup)]


def _seen(expression: Expression, table: NftTable, skb: Skb, context: Context) -> str:
    """Return what the packet has there, as a rule would have it; empty if it has none or it cannot be asked twice."""
    if not _repeatable(expression):
        return ""
    value: Key | None = bind_value(expression, context.netns.netfilter, table)(skb, context)
    if value is None:
        return ""
    values = value if isinstance(value, tuple) else (value,)
    return " . ".join(_word(kind, each, context) for kind, each in zip(expression.types, values, strict=True))


def _word(kind: Datatype, value: Scalar, context: Context) -> str:
    """Print a value; a link by its name, as rules have it."""
    link = context.netns.link_by_index(value) if kind is IFINDEX and isinstance(value, int) else None
    return kind.format(value) if link is None else f'"{link.name}"'


def _repeatable(expression: Expression) -> bool:
    """Whether reading it again gives the same, and changes nothing."""
    if isinstance(expression, Numgen):
        return False
    if isinstance(expression, Jhash):  # without a seed, each binding draws one
        return expression.seed is not None and _repeatable(expression.inner)
    if isinstance(expression, Concatenation):
        return all(_repeatable(part) for part in expression.parts)
    if isinstance(expression, Masked | Bitwise):
        return _repeatable(expression.inner)
    return _repeatable(expression.key) if isinstance(expression, MapLookup) else True
