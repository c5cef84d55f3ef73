"""`iptables -L`: a table's rules in columns, for people (iptables/nft-ipv4.c, nft-shared.c).

Names of hosts are not looked up: without -n addresses are printed as numbers too, as where no resolver answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.names import Names

if TYPE_CHECKING:
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.netfilter.iptables.rule import Interface, Network, Rule, RuleSpec

_FEW = 99_999  # counters up to this are printed whole
_THOUSANDS = 9_999  # and with a letter up to this many of its unit


class Style(Struct, frozen=True):
    """What to print: -n, -v, -x and --line-numbers."""

    numeric: bool = False
    verbose: bool = False
    exact: bool = False
    numbered: bool = False


def list_chains(chains: Mapping[str, Chain], only: str | None, style: Style) -> str:
    """Return what `-L [CHAIN]` prints. RuleError if there is no such chain."""
    if only is not None and only not in chains:
        raise RuleError("No chain/target/match by that name.")
    builtin = [chain for chain in chains.values() if chain.builtin]
    users = sorted((chain for chain in chains.values() if not chain.builtin), key=lambda chain: chain.name)
    shown = builtin + users if only is None else [chains[only]]
    return "\n".join("".join(line + "\n" for line in _list_chain(chain, chains, style)) for chain in shown)


def list_rule(chain: Chain, number: int, style: Style) -> str:
    """Return what `-L CHAIN NUMBER` prints: the one rule, or nothing."""
    if number > len(chain.rules):
        return ""
    return _list_rule(chain.rules[number - 1], number, style) + "\n"


def _list_chain(chain: Chain, chains: Mapping[str, Chain], style: Style) -> Iterator[str]:
    if chain.policy is None:
        yield f"Chain {chain.name} ({chain.users} references)"
    elif style.verbose:
        packets, octets = _count(chain.packets, style).strip(), _count(chain.bytes, style).strip()
        yield f"Chain {chain.name} (policy {chain.policy.name} {packets} packets, {octets} bytes)"
    else:
        yield f"Chain {chain.name} (policy {chain.policy.name})"
    yield _header(style)
    for number, rule in enumerate(chain.rules, 1):
        yield _list_rule(rule, number, style)


def _header(style: Style) -> str:
    text = f"{'num':4s} " if style.numbered else ""
    if style.verbose:
        text += f"{'pkts':>8s} {'bytes':>10s} " if style.exact else f"{'pkts':>5s} {'bytes':>5s} "
    text += f"{'target':9s}  prot opt"
    if style.verbose:
        text += f" {'in':6s} {'out':6s} "
    return text + f" {'source':19s}  {'destination':19s} "


def _list_rule(rule: Rule, number: int, style: Style) -> str:
    spec = rule.spec
    names = Names(style.numeric, spec.protocol)
    text = f"{number:<4d} " if style.numbered else ""
    if style.verbose:
        text += _count(rule.packets, style) + " " + _count(rule.bytes, style) + " "
    text += f"{_target_name(spec):9s} {_mark(spec.protocol_inverted)}{names.protocol_name():4s} "
    text += f"{'!' if spec.fragment is False else '-'}{'-' if spec.fragment is None else 'f'} "
    if style.verbose:
        text += f" {_interface(spec.in_interface, style):6s} {_interface(spec.out_interface, style):6s} "
    text += f"{_network(spec.source, names)} {_network(spec.destination, names)} "
    return text + _details(spec, names)


_JOINED = "match bpf "  # what iptables prints without a space before it


def _details(spec: RuleSpec, names: Names) -> str:
    details = [match.listing(names) for match in spec.matches]
    if spec.target is not None:
        details.append(spec.target.listing(names))
    if spec.ignored is not None:
        details.append(spec.ignored.text)
    goto = "[goto] " if spec.jump and spec.goto else ""  # printed without a space before it
    return goto + "".join(detail if detail.startswith(_JOINED) else f" {detail}" for detail in details if detail)


def describe_rule(spec: RuleSpec) -> str:
    """Return what `iptables -v -A` and its like say of the rule."""
    names, style = Names(True, spec.protocol), Style(numeric=True)
    text = f"{_target_name(spec)} {_mark(spec.protocol_inverted)}{Names(False, spec.protocol).protocol_name()} opt "
    text += f"{'!' if spec.fragment is False else '-'}{'-' if spec.fragment is None else 'f'} "
    text += f"in {_interface(spec.in_interface, style)} out {_interface(spec.out_interface, style)} "
    for network, arrow in ((spec.source, ""), (spec.destination, "-> ")):
        value = names.network(0, 0) if network is None else names.network(network.address, network.mask)
        text += f"{_mark(network is not None and network.inverted)}{arrow}{value} "
    return text + " " + _details(spec, names)


def _target_name(spec: RuleSpec) -> str:
    if spec.ignored is not None:
        return "(ignored)"
    return spec.jump or ("" if spec.target is None else spec.target.listed_name())


def _mark(inverted: bool) -> str:
    return "!" if inverted else " "


def _interface(interface: Interface | None, style: Style) -> str:
    if interface is None:
        return "*" if style.numeric else "any"
    return f"{'!' if interface.inverted else ''}{interface.name}"


def _network(network: Network | None, names: Names) -> str:
    if network is None:
        return f" {names.network(0, 0):19s}"
    return f"{_mark(network.inverted)}{names.network(network.address, network.mask):19s}"


def _count(number: int, style: Style) -> str:
    """Print a counter in its column, shortened to K, M, G or T unless it is to be exact (xtables_print_num)."""
    if style.exact:
        return f"{number:8d}"
    if number <= _FEW:
        return f"{number:5d}"
    for unit in "KMG":
        number = (number + 500) // 1000
        if number <= _THOUSANDS:
            return f"{number:4d}{unit}"
    return f"{(number + 500) // 1000:4d}T"
