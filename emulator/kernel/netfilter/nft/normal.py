"""The form in which a listing has a rule's statements (payload.c and netlink_delinearize.c of nft).

nft sorts fields of one header that stand side by side, and leaves out a protocol that a later field names.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from emulator.kernel.netfilter.conntrack.tuple import TCP
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression
from emulator.kernel.netfilter.nft.expression.lookup import VerdictMap
from emulator.kernel.netfilter.nft.expression.meta import Meta
from emulator.kernel.netfilter.nft.expression.payload import TRANSPORT_NAMES, Payload
from emulator.kernel.netfilter.nft.protocols import says_transport
from emulator.kernel.netfilter.nft.statement.dynamic import Dynamic
from emulator.kernel.netfilter.nft.statement.mangle import SetMark
from emulator.kernel.netfilter.nft.statement.match import FlagMatch, Match
from emulator.kernel.netfilter.nft.statement.statement import Reject, Statement
from emulator.kernel.netfilter.nft.statement.translate import Translate

_WIDEST = 32  # bits that are compared at once
_ANSWERED = {"icmp": (2, "ip"), "icmpv6": (10, "ip6")}
_NETWORK_NUMBERS = {"ip": (2, 0x0800), "ip6": (10, 0x86DD)}


def normalized(statements: Sequence[Statement], family: str) -> tuple[Statement, ...]:
    """Return the statements in the order, and with the omissions, of a listing."""
    if family == "inet":
        statements = _say_network(statements)
    comparisons = [each for each in statements if isinstance(each, Match)]
    if len(comparisons) > 1:
        statements = _merge_fields(statements)
    if family == "inet" or _says_protocol(comparisons, family):
        statements = _hide_implied(_name_ports(statements), family)
    return tuple(statements)


def _says_protocol(comparisons: Sequence[Match], family: str) -> bool:
    for each in comparisons:  # noqa: SIM110  # any() would make a generator for each rule
        if says_transport(each.left) or _says_network(each, family):
            return True
    return False


def _say_network(statements: Sequence[Statement]) -> Sequence[Statement]:
    """Put the network protocol in front where an ICMP answer needs it and nothing else has told it."""
    last = statements[-1] if statements else None
    if not isinstance(last, Reject) or last.kind not in _ANSWERED:
        return statements
    number, network = _ANSWERED[last.kind]
    for statement in statements[:-1]:
        says = isinstance(statement, Match) and _says_network(statement, "inet") and statement.right == number
        if says or _needs(statement)[1] == network:
            return statements
    return [Match(Meta("nfproto"), "==", number), *statements]


def _plain(statement: Statement) -> Payload | None:
    """Return the field that a statement compares with a single value."""
    if not isinstance(statement, Match) or statement.operator not in ("==", "!="):
        return None
    return statement.left if isinstance(statement.left, Payload) and isinstance(statement.right, int) else None


def _merge_fields(statements: Sequence[Statement]) -> list[Statement]:
    """Put fields that lie side by side behind each other, as they are once nft has compared them together."""
    done: list[Statement] = []
    begin = 0
    while begin < len(statements):
        end = begin
        while end < len(statements) and isinstance(statements[end], Match | FlagMatch):
            end += 1
        done += _merge_run(list(statements[begin:end]))
        if end < len(statements):
            done.append(statements[end])
        begin = end + 1
    return done


def _merge_run(run: list[Statement]) -> list[Statement]:
    found = [(payload, each) for each in run if (payload := _plain(each)) is not None]
    if len(found) < 2:
        return run
    found.sort(key=lambda pair: (pair[0].header.layer, pair[0].place.offset))
    groups: list[list[tuple[Payload, Statement]]] = []
    for pair in found:
        if groups and _adjoins(groups[-1], pair):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    for group in groups:
        members = [each for _, each in group]
        for member in members[1:]:
            run.remove(member)
        at = next(index for index, each in enumerate(run) if each is members[0])
        run[at : at + 1] = members
    return run


def _adjoins(group: list[tuple[Payload, Statement]], pair: tuple[Payload, Statement]) -> bool:
    last, statement = group[-1]
    payload, other = pair
    if last.protocol != payload.protocol or last.place.offset + last.place.bits != payload.place.offset:
        return False
    if not (isinstance(statement, Match) and isinstance(other, Match) and statement.operator == other.operator):
        return False
    if any(each.place.bits % 8 for each in (last, payload)):
        return False
    return sum(each.place.bits for each, _ in group) + payload.place.bits <= _WIDEST


def _name_ports(statements: Sequence[Statement]) -> list[Statement]:
    """`th dport` behind `meta l4proto tcp` is `tcp dport`."""
    known = ""
    done: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Match):
            if says_transport(statement.left) and statement.operator == "==" and isinstance(statement.right, int):
                known = TRANSPORT_NAMES.get(statement.right, "")
            elif known:
                left = statement.left
                if isinstance(left, Payload):
                    statement = replace(statement, left=_named(left, known))
                elif isinstance(left, Concatenation):
                    parts = tuple(_named(each, known) if isinstance(each, Payload) else each for each in left.parts)
                    statement = replace(statement, left=Concatenation(parts))
        done.append(statement)
    return done


def _named(payload: Payload, protocol: str) -> Payload:
    return Payload(protocol, payload.field) if payload.protocol == "th" else payload


def _hide_implied(statements: list[Statement], family: str) -> list[Statement]:
    """Hide a comparison of the protocol that a field behind it implies, if only comparisons stand between."""
    done = list(statements)
    transport: int | None = None
    network: int | None = None
    for index, statement in enumerate(done):
        if isinstance(statement, Match) and statement.operator == "==" and isinstance(statement.right, int):
            if says_transport(statement.left):
                transport = index if _may_hide(statement, family) else None
                continue
            if _says_network(statement, family):
                network = index
                if family != "inet":
                    done[index] = replace(statement, hidden=True)
                continue
        needed, needed_network = _needs(statement)
        if (
            transport is not None
            and needed == _value(done[transport])
            and (not isinstance(statement, Reject) or family != "inet")
        ):
            done[transport] = replace(done[transport], hidden=True)
            transport = None
        if network is not None and needed_network and _value(done[network]) in _NETWORK_NUMBERS[needed_network]:
            done[network] = replace(done[network], hidden=True)
            network = None
        if not isinstance(statement, Match | FlagMatch | VerdictMap | SetMark):
            transport = network = None
    if family == "inet":
        done = _show_tcp(done)
    return done


def _may_hide(statement: Match, family: str) -> bool:
    left = statement.left
    return isinstance(left, Meta) or (isinstance(left, Payload) and family == "ip")


def _says_network(statement: Match, family: str) -> bool:
    left = statement.left
    if isinstance(left, Meta):
        if family != "inet":
            return left.key == "protocol" and statement.right == {"ip": 0x0800, "ip6": 0x86DD}[family]
        return left.key == "nfproto"
    return family == "inet" and isinstance(left, Payload) and (left.protocol, left.field) == ("ether", "type")


def _value(statement: Statement) -> object:
    return statement.right if isinstance(statement, Match) else None


def _needs(statement: Statement) -> tuple[int, str]:
    """Return the protocols that a statement implies: transport (-1 for none) and network."""
    if isinstance(statement, Reject):
        return TCP if statement.kind == "tcp reset" else -1, _ANSWERED.get(statement.kind, (0, ""))[1]
    if isinstance(statement, Match | FlagMatch):
        return statement.left.transport, statement.left.network
    if isinstance(statement, VerdictMap):
        return statement.key.transport, statement.key.network
    value: object = None
    if isinstance(statement, SetMark):
        value = statement.value
    elif isinstance(statement, Dynamic):
        value = statement.key
    elif isinstance(statement, Translate):
        value = statement.address
    return (value.transport, value.network) if isinstance(value, Expression) else (-1, "")


def _show_tcp(statements: list[Statement]) -> list[Statement]:
    """In inet tables `reject with tcp reset` is listed with the protocol, unless a comparison has it already."""
    if not statements or not isinstance(statements[-1], Reject) or statements[-1].kind != "tcp reset":
        return statements
    said = any(
        _needs(each)[0] == TCP or (isinstance(each, Match) and says_transport(each.left)) for each in statements[:-1]
    )
    return statements if said else [Match(Meta("l4proto"), "==", TCP), *statements]
