"""The `iptables` command: one command line on one namespace. `iptables-restore` takes whole tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.edit import Edit
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.listing import Style, list_chains, list_rule
from emulator.kernel.netfilter.restore import COMMANDS, apply

if TYPE_CHECKING:
    from emulator.kernel.netfilter.chain import Chain
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.rule import Rule

_TABLE = ("-t", "--table")
_SHOW = ("-S", "--list-rules")
_LIST = ("-L", "--list")
_WAIT = ("-w", "--wait")  # for other iptables that run at the same time; there are none
_STYLE = {
    "-n": "numeric",
    "--numeric": "numeric",
    "-v": "verbose",
    "--verbose": "verbose",
    "-x": "exact",
    "--exact": "exact",
    "--line-numbers": "numbered",
}
_CLUSTERED = frozenset("nvxwLS")  # flags that may be written together: -nvL
_READING = frozenset({"-C", "--check"})


@dataclass(frozen=True, slots=True)
class _CommandLine:
    """What was asked for: the table, how to print, and the words that are left, the command first."""

    table: str
    style: Style
    words: list[str]


def iptables(netfilter: Netfilter, words: Sequence[str]) -> str:
    """Run one command; return what it prints. RuleError has the message that iptables gives, in one line.

    The command takes effect as a whole or, with a RuleError, not at all.
    """
    line = _read(words)
    command, arguments = line.words[0], line.words[1:]
    edit = Edit(netfilter, line.table)
    if command in _LIST:
        return _list(edit, arguments, line.style)
    if command in _SHOW:
        return "".join(text + "\n" for text in _show(edit, arguments, counters=line.style.verbose))
    apply(edit, line.words)
    if command not in _READING:
        edit.validate()
        edit.commit()
    return ""


def _read(words: Sequence[str]) -> _CommandLine:
    table = "filter"
    style: dict[str, bool] = {}
    rest: list[str] = []
    remaining = deque(_separated(words))
    while remaining:
        word = remaining.popleft()
        if word in _TABLE:
            if not remaining:
                raise RuleError(f'option "{word}" requires an argument')
            table = remaining.popleft()
        elif word in _STYLE:
            style[_STYLE[word]] = True
        elif word in _WAIT:
            if remaining and remaining[0].isdigit():
                remaining.popleft()
        else:
            rest.append(word)
    position = next((at for at, word in enumerate(rest) if word in COMMANDS or word in (*_SHOW, *_LIST)), None)
    if position is None:
        raise RuleError("no command specified")
    # Options may stand on either side of the command and its arguments.
    return _CommandLine(table, Style(**style), [rest[position], *rest[position + 1 :], *rest[:position]])


def _separated(words: Sequence[str]) -> Iterator[str]:
    """Write flags apart that were written together."""
    for word in words:
        if len(word) > 2 and word[0] == "-" and _CLUSTERED.issuperset(word[1:]):
            yield from (f"-{letter}" for letter in word[1:])
        else:
            yield word


def _list(edit: Edit, arguments: list[str], style: Style) -> str:
    """`-L [CHAIN [NUMBER]]`."""
    if len(arguments) < 2:
        return list_chains(edit.chains, arguments[0] if arguments else None, style)
    return list_rule(edit.chain(arguments[0]), _rule_number(arguments[1]), style)


def _show(edit: Edit, arguments: list[str], *, counters: bool) -> Iterator[str]:
    """`-S [CHAIN [NUMBER]]`, and with -v what each counted."""
    if arguments:
        chain = edit.chain(arguments[0])
        if len(arguments) > 1:
            number = _rule_number(arguments[1])
            yield from (_show_rule(chain, rule, counters) for rule in chain.rules[number - 1 : number])
            return
        chains = [chain]
    else:
        builtin = [chain for chain in edit.chains.values() if chain.builtin]
        users = sorted((chain for chain in edit.chains.values() if not chain.builtin), key=lambda chain: chain.name)
        chains = builtin + users
    for chain in chains:
        counted = f" -c {chain.packets} {chain.bytes}" if counters else ""
        yield f"-N {chain.name}" if chain.policy is None else f"-P {chain.name} {chain.policy.name}{counted}"
    for chain in chains:
        yield from (_show_rule(chain, rule, counters) for rule in chain.rules)


def _show_rule(chain: Chain, rule: Rule, counters: bool) -> str:
    return f"-A {chain.name} {rule.spec.format((rule.packets, rule.bytes) if counters else None)}".rstrip()


def _rule_number(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise RuleError(f"Invalid rule number `{text}'")
    return int(text)
