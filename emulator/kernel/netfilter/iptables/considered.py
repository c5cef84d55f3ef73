"""Rules that were looked at and did not match: the first test that failed, and what the packet has there.

A trace opened with `considered` has a step for each. Nothing is tested again for it: the walk hands over the test that
it broke off at. Rules that a run (`chain.py`) skips by one look into a dict stand in for themselves as `Skipped`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.netfilter.iptables.rule import Interface, Network, Rule, RuleSpec
from emulator.kernel.netfilter.match.port import PortMatch
from emulator.kernel.netfilter.options import format_network, format_protocol
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.netfilter.iptables.rule import Predicate
    from emulator.kernel.netfilter.match.base import Match
    from emulator.kernel.skb import Skb

LATER_FRAGMENT = 0x1FFF


class Miss(NamedTuple):
    """Why a rule did not match: the test (`destination`, `tcp`), what the packet has, what the rule wants."""

    test: str
    seen: str
    wanted: str


def _never(skb: Skb, context: Context) -> bool:
    return False


class Skipped(Rule):
    """A rule of a run that the packet's addresses, protocol and ports rule out."""

    __slots__ = ()

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.spec)
        self.number = rule.number
        self.predicates = (_never,)


def stand_in(rules: tuple[Rule, ...], found: tuple[Rule, ...] | None) -> tuple[Rule, ...]:
    """Return all rules of a run, those that were not found as skipped ones."""
    kept = {id(rule) for rule in found or ()}
    return tuple(rule if id(rule) in kept else Skipped(rule) for rule in rules)


def note_miss(chain: Chain, rule: Rule, predicate: Predicate, skb: Skb, context: Context) -> None:
    """Tell a packet's trace of a rule that did not match, and of the test that failed."""
    if rule.spec.ignored is not None:  # it has told of itself
        return
    miss = _skipped(rule.spec, skb, context) if isinstance(rule, Skipped) else _failed(rule, predicate, skb, context)
    skb.step(
        context.netns,
        StepKind.CONSIDERED,
        table=chain.table.name,
        chain=chain.name,
        number=rule.number,
        rule=f"-A {chain.name} {rule.spec.format()}",
        test=miss.test,
        seen=miss.seen,
        wanted=miss.wanted,
    )


def _failed(rule: Rule, predicate: Predicate, skb: Skb, context: Context) -> Miss:
    position = next(number for number, each in enumerate(rule.predicates or ()) if each is predicate)
    tests: list[Miss | Match] = [
        *_headers(rule.spec, skb),
        *(match for match in rule.spec.matches if match.name != "comment"),
    ]
    test = tests[position]
    return test if isinstance(test, Miss) else _of_match(test, skb, context)


def _of_match(match: Match, skb: Skb, context: Context) -> Miss:
    return Miss(match.name, match.seen(skb, context), match.format())


def _headers(spec: RuleSpec, skb: Skb) -> Iterator[Miss]:
    """Yield what -d -s -p -i -o -f want, in the order of `header_predicates`."""
    if spec.destination is not None:
        yield Miss("destination", format_ipv4(skb.daddr), _network(spec.destination))
    if spec.source is not None:
        yield Miss("source", format_ipv4(skb.saddr), _network(spec.source))
    if spec.protocol:
        wanted = f"{'! ' if spec.protocol_inverted else ''}{format_protocol(spec.protocol)}"
        yield Miss("protocol", format_protocol(skb.protocol), wanted)
    for test, interface, link in (
        ("input link", spec.in_interface, skb.in_link),
        ("output link", spec.out_interface, skb.out_link),
    ):
        if interface is not None:
            yield Miss(test, _link(link), _interface(interface))
    if spec.fragment is not None:
        seen = "a later one" if skb.fragment & LATER_FRAGMENT else "none, or the first"
        yield Miss("fragment", seen, "a later one" if spec.fragment else "none, or the first")


def _skipped(spec: RuleSpec, skb: Skb, context: Context) -> Miss:
    """Find the exact value that a skipped rule wants and the packet does not have."""
    for network, address, test in ((spec.destination, skb.daddr, "destination"), (spec.source, skb.saddr, "source")):
        if network is not None and (address & network.mask == network.address) is network.inverted:
            return Miss(test, format_ipv4(address), _network(network))
    if spec.protocol and (skb.protocol == spec.protocol) is spec.protocol_inverted:
        return Miss("protocol", format_protocol(skb.protocol), format_protocol(spec.protocol))
    ports = next(match for match in spec.matches if isinstance(match, PortMatch))
    return _of_match(ports, skb, context)


def _network(network: Network) -> str:
    return f"{'! ' if network.inverted else ''}{format_network(network.address, network.mask)}"


def _interface(interface: Interface) -> str:
    return f"{'! ' if interface.inverted else ''}{interface.name}"


def _link(link: Link | None) -> str:
    return "none" if link is None else link.name
