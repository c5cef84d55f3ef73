"""`ip rule`: show, add, delete and flush the policy rules that pick a routing table."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field
from msgspec.structs import replace

from emulator.apps.commands import ip_words
from emulator.apps.commands.ip_context import SHOW, Context, IpError, Words, is_command, unknown_command
from emulator.kernel.routing.fib import Fib, Rule
from emulator.kernel.routing.fib_rule import ANY_PORTS, RuleAction, RulePattern
from emulator.kernel.routing.route import TABLE_MAIN
from emulator.kernel.routing.rule_text import line, rule_fields
from emulator.packet.digits import is_natural

USAGE = """Usage: ip rule { add | del } SELECTOR ACTION
       ip rule { flush | save | restore }
       ip rule [ list [ SELECTOR ]]
SELECTOR := [ not ] [ from PREFIX ] [ to PREFIX ] [ tos TOS ]
            [ fwmark FWMARK[/MASK] ]
            [ iif STRING ] [ oif STRING ] [ pref NUMBER ] [ l3mdev ]
            [ uidrange NUMBER-NUMBER ]
            [ ipproto PROTOCOL ]
            [ sport [ NUMBER | NUMBER-NUMBER ]
            [ dport [ NUMBER | NUMBER-NUMBER ] ]
ACTION := [ table TABLE_ID ]
          [ protocol PROTO ]
          [ nat ADDRESS ]
          [ realms [SRCREALM/]DSTREALM ]
          [ goto NUMBER ]
          SUPPRESSOR
SUPPRESSOR := [ suppress_prefixlength NUMBER ]
              [ suppress_ifgroup DEVGROUP ]
TABLE_ID := [ local | main | default | NUMBER ]"""
_ACTIONS = {action.value: action for action in RuleAction if action not in {RuleAction.LOOKUP, RuleAction.GOTO}}
_NAME_LIMIT = 15  # bytes of a link's name
_ALL_BITS = 0xFFFFFFFF


class _Line(Struct):
    """What a line says of a rule: the rule, and which of its fields it named."""

    rule: Rule = field(default_factory=lambda: Rule(0))
    named: set[str] = field(default_factory=set)

    def set(self, **values: object) -> None:
        self.rule = replace(self.rule, **values)
        self.named |= set(values)


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip rule` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    fib = context.netns.fib
    if is_command(command, *SHOW):
        _show(context, words)
    elif is_command(command, "add"):
        if not words:
            raise IpError('"ip rule add" requires arguments.')
        _add(fib, words)
    elif is_command(command, "delete"):
        if not words:
            raise IpError('"ip rule del" requires arguments.')
        fib.delete_rule(RulePattern(*_pattern(words)))
    elif is_command(command, "flush"):
        for rule in _selected(fib, words):
            if rule.priority:
                fib.remove_rule(rule)
    elif is_command(command, "save"):
        raise IpError("Not sending a binary stream to stdout", 255)
    elif is_command(command, "help"):
        raise IpError(USAGE, 255)
    else:
        raise unknown_command(command, "rule")


def _show(context: Context, words: Words) -> None:
    netns = context.netns
    rules = [] if context.has("inet6") else _selected(netns.fib, words)
    targets = {rule.priority for rule in netns.fib.rules}
    rows = [rule_fields(rule, links=netns.links, targets=targets, details=context.has("details")) for rule in rules]
    if context.has("json"):
        context.write_json([{key: value for key, value, _ in row} for row in rows])
    else:
        context.write("".join(f"{line(row)}\n" for row in rows))


def _selected(fib: Fib, words: Words) -> list[Rule]:
    """Return the rules that a filter means: those equal in each field that it names."""
    wanted = _Line()
    while words:
        word = words.next()
        if is_command(word, "preference", "order", "priority"):
            wanted.set(priority=ip_words.number(words.next(), "preference value is invalid\n"))
        elif word in {"from", "to"}:
            _read_prefix(wanted, words, word)
        elif word in _SHOWN:
            _SHOWN[word](wanted, words)
        elif is_command(word, "lookup", "table"):
            wanted.set(table=ip_words.table(words.next(), "table id value is invalid\n"))
        else:
            prefix = ip_words.inet_prefix(Words([word]))
            wanted.set(destination=prefix)
    return [
        rule for rule in fib.rules if all(getattr(rule, name) == getattr(wanted.rule, name) for name in wanted.named)
    ]


def _add(fib: Fib, words: Words) -> None:
    wanted = _read(words)
    rule = wanted.rule
    if rule.action is RuleAction.LOOKUP and not rule.table:
        table = fib.empty_table() if {"table", "action"} & wanted.named else TABLE_MAIN
        rule = replace(rule, table=table)
    if "priority" not in wanted.named:
        rule = replace(rule, priority=fib.default_priority())
    fib.add_rule(rule)


def _pattern(words: Words) -> tuple[Rule, bool]:
    wanted = _read(words)
    return wanted.rule, "priority" in wanted.named


def _read(words: Words) -> _Line:
    wanted = _Line()
    while words:
        word = words.next()
        read = _SELECTORS.get(word) or next(
            (_ABBREVIATED[name] for name in _ABBREVIATED if name.startswith(word)), None
        )
        if read is not None:
            read(wanted, words)
            continue
        if word == "type":
            word = words.next()
        if word not in _ACTIONS and word != "unicast":
            raise ip_words.wrong(word, "Failed to parse rule type")
        wanted.set(action=_ACTIONS.get(word, RuleAction.LOOKUP))
    return wanted


def _read_prefix(wanted: _Line, words: Words, word: str) -> None:
    address, length = ip_words.any_prefix(words.next())
    wanted.set(**{"source" if word == "from" else "destination": (address, length)})


def _read_mark(wanted: _Line, words: Words) -> None:
    mark, slash, mask = words.next().partition("/")
    value = ip_words.number(mark, "fwmark value is invalid\n")
    bits = ip_words.number(mask, "fwmask value is invalid\n") if slash else _ALL_BITS if value else 0
    wanted.set(mark=value, mask=bits)


def _read_link(name: str, what: str) -> Callable[[_Line, Words], None]:
    def read(wanted: _Line, words: Words) -> None:
        word = words.next()
        if not 0 < len(word) <= _NAME_LIMIT or "/" in word:
            raise ip_words.wrong(word, f"{what} not a valid ifname")
        wanted.set(**{name: word})

    return read


def _read_range(word: str, message: str, limit: int) -> tuple[int, int]:
    first, dash, last = word.partition("-")
    if not is_natural(first) or (dash and not is_natural(last)):
        raise ip_words.wrong(word, message)
    return int(first) & limit, int(last if dash else first) & limit


def _read_ports(name: str) -> Callable[[_Line, Words], None]:
    def read(wanted: _Line, words: Words) -> None:
        ports = _read_range(words.next(), f"invalid {name} range\n", 0xFFFF)
        if ports == ANY_PORTS:
            raise IpError(f"Error: Invalid {name} range.", 2)
        wanted.set(**{name: ports})

    return read


def _read_users(wanted: _Line, words: Words) -> None:
    word = words.next()
    if "-" not in word:
        raise ip_words.wrong(word, "invalid UID range\n")
    wanted.set(uid_range=_read_range(word, "invalid UID range\n", _ALL_BITS))


def _read_goto(wanted: _Line, words: Words) -> None:
    wanted.set(action=RuleAction.GOTO, target=ip_words.number(words.next(), "invalid target\n"))


def _read_group(wanted: _Line, words: Words) -> None:
    message = 'Invalid "suppress_ifgroup" value\n'
    word = words.next()
    wanted.set(suppress_group=0 if word == "default" else ip_words.number(word, message))


def _refuse(word: str) -> Callable[[_Line, Words], None]:
    def read(_wanted: _Line, _words: Words) -> None:
        raise IpError(f'Error: "{word}" is not supported by this emulator.', 2)

    return read


def _reader(name: str, message: str, convert: Callable[[str, str], object]) -> Callable[[_Line, Words], None]:
    return lambda wanted, words: wanted.set(**{name: convert(words.next(), message)})


_SELECTORS: dict[str, Callable[[_Line, Words], None]] = {
    "not": lambda wanted, _words: wanted.set(inverted=True),
    "from": lambda wanted, words: _read_prefix(wanted, words, "from"),
    "to": lambda wanted, words: _read_prefix(wanted, words, "to"),
    "tos": _reader("tos", "TOS value is invalid\n", ip_words.dsfield),
    "dsfield": _reader("tos", "TOS value is invalid\n", ip_words.dsfield),
    "fwmark": _read_mark,
    "iif": _read_link("in_link", '"iif"/"dev"'),
    "dev": _read_link("in_link", '"iif"/"dev"'),
    "oif": _read_link("out_link", '"oif"'),
    "ipproto": _reader("ip_protocol", 'Invalid "ipproto" value\n', ip_words.ip_protocol),
    "sport": _read_ports("sport"),
    "dport": _read_ports("dport"),
    "uidrange": _read_users,
    "lookup": _reader("table", "invalid table ID\n", ip_words.table),
    "suppress_prefixlength": _reader(
        "suppress_prefixlength", "suppress_prefixlength value is invalid\n", ip_words.number
    ),
    "sup_pl": _reader("suppress_prefixlength", "suppress_prefixlength value is invalid\n", ip_words.number),
    "suppress_ifgroup": _read_group,
    "sup_group": _read_group,
    "goto": _read_goto,
    "l3mdev": _refuse("l3mdev"),
    "nat": _refuse("nat"),
    "tun_id": _refuse("tun_id"),
}
_ABBREVIATED: dict[str, Callable[[_Line, Words], None]] = {
    "preference": _reader("priority", "preference value is invalid\n", ip_words.number),
    "order": _reader("priority", "preference value is invalid\n", ip_words.number),
    "priority": _reader("priority", "preference value is invalid\n", ip_words.number),
    "realms": _refuse("realms"),
    "protocol": _reader("protocol", '"protocol" value is invalid\n', ip_words.route_protocol),
    "table": _reader("table", "invalid table ID\n", ip_words.table),
    "map-to": _refuse("map-to"),
}
_SHOWN = {
    name: _SELECTORS[name]
    for name in ("tos", "dsfield", "fwmark", "iif", "dev", "oif", "ipproto", "sport", "dport", "uidrange")
}
