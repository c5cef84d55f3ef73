"""The iptables command on one namespace: `-t nat -A CHAIN ...` and its like, as a function from words to text.

`-L` is not here: it prints matches in a form of their own. `-S` prints the same rules as they would be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.edit import Edit
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.restore import COMMANDS, apply

if TYPE_CHECKING:
    from emulator.kernel.netfilter.chain import Chain
    from emulator.kernel.netfilter.netfilter import Netfilter

_TABLE = ("-t", "--table")
_SHOW = ("-S", "--list-rules")
_WAIT = ("-w", "--wait")  # for other iptables that run at the same time; there are none
_NUMERIC = ("-n", "--numeric")
_READING = frozenset({"-C", "--check", *_SHOW})


def iptables(netfilter: Netfilter, words: Sequence[str]) -> str:
    """Run one command; return what it prints. RuleError has the message that iptables gives, in one line.

    The command takes effect as a whole or, with a RuleError, not at all.
    """
    table, rest = _take_table(words)
    if not rest:
        raise RuleError("no command specified")
    edit = Edit(netfilter, table)
    position = next((at for at, word in enumerate(rest) if _is_command(word)), None)
    if position is None:
        raise RuleError("no command specified")
    ordered = [rest[position], *_arguments(rest, position)]
    if ordered[0] in _SHOW:
        return "".join(line + "\n" for line in _show(edit, ordered[1:]))
    apply(edit, ordered)
    if ordered[0] not in _READING:
        edit.validate()
        edit.commit()
    return ""


def _take_table(words: Sequence[str]) -> tuple[str, list[str]]:
    table = "filter"
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word in _TABLE:
            name = next(remaining, None)
            if name is None:
                raise RuleError(f'option "{word}" requires an argument')
            table = name
        elif word not in _WAIT and word not in _NUMERIC:
            rest.append(word)
    return table, rest


def _is_command(word: str) -> bool:
    return word in COMMANDS or word in _SHOW


def _arguments(rest: list[str], position: int) -> list[str]:
    """Return the words behind the command, then those before it: options may stand on either side."""
    return rest[position + 1 :] + rest[:position]


def _show(edit: Edit, arguments: list[str]) -> Iterator[str]:
    """`-S [CHAIN [NUMBER]]`."""
    if arguments:
        chain = edit.chain(arguments[0])
        if len(arguments) > 1:
            yield from _numbered(chain, arguments[1])
            return
        chains = [chain]
    else:
        builtin = [chain for chain in edit.chains.values() if chain.builtin]
        users = sorted((chain for chain in edit.chains.values() if not chain.builtin), key=lambda chain: chain.name)
        chains = builtin + users
    for chain in chains:
        yield f"-N {chain.name}" if chain.policy is None else f"-P {chain.name} {chain.policy.name}"
    for chain in chains:
        for rule in chain.rules:
            yield f"-A {chain.name} {rule.spec.format()}".rstrip()


def _numbered(chain: Chain, text: str) -> Iterator[str]:
    if not text.isdigit() or not int(text):
        raise RuleError(f"Invalid rule number `{text}'")
    if int(text) <= len(chain.rules):
        yield f"-A {chain.name} {chain.rules[int(text) - 1].spec.format()}".rstrip()
