"""The `iptables` command: one command line on one namespace. `iptables-restore` takes whole tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.error import KernelError, RefusedError
from emulator.kernel.netfilter.iptables.command_line import RULE_COMMANDS, CommandLine, read_command_line
from emulator.kernel.netfilter.iptables.edit import Edit
from emulator.kernel.netfilter.iptables.listing import describe_rule, list_chains, list_rule
from emulator.kernel.netfilter.iptables.restore import RuleCommand, chain_command
from emulator.kernel.netfilter.iptables.rule_parser import parse_rule

if TYPE_CHECKING:
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.netfilter.iptables.rule import Rule
    from emulator.kernel.netfilter.netfilter import Netfilter

_VERBOSE = {"-F": "Flushing", "-Z": "Zeroing", "-X": "Deleting"}


def iptables(netfilter: Netfilter, words: Sequence[str]) -> str:
    """Run one command; return what it prints. RuleError has the message that iptables gives, in one line.

    The command takes effect as a whole or, with a RuleError, not at all.
    """
    line = read_command_line(words)
    edit = Edit(netfilter, line.table or "filter")
    if line.command in RULE_COMMANDS:
        output = _rule(edit, line)
    elif line.command in ("-L", "-S"):
        output = _listing(edit, line)
    else:
        output = _verbose(edit, line)
        chain_command(edit, line.command, line.chain, line.argument, line.number)
    if line.also_zero:
        chain_command(edit, "-Z", line.chain, "", line.number)
    elif line.command in ("-L", "-S", "-C"):
        return output
    try:
        edit.validate()
    except KernelError as error:
        raise error.at("RULE_APPEND", f"rule in chain {line.chain}") from None
    edit.commit()
    return output


def _rule(edit: Edit, line: CommandLine) -> str:
    command = RuleCommand(line.command, line.chain or "", line.number, line.words)
    if command.command == "-D" and command.number is not None:
        edit.delete_number(command.chain, command.number)
        return ""
    try:
        specs, counters = parse_rule(command.words, edit.chains)
        command.apply(edit, specs, counters or (0, 0))
    except KernelError as error:
        raise command.blame(error) from None
    return "".join(describe_rule(spec) + "\n" for spec in specs) if "-v" in line.flags else ""


def _verbose(edit: Edit, line: CommandLine) -> str:
    word = _VERBOSE.get(line.command)
    if word is None or "-v" not in line.flags or line.chain is not None:
        return ""
    return "".join(
        f"{word} chain `{chain.name}'\n" for chain in _in_order(edit) if line.command != "-X" or not chain.builtin
    )


def _in_order(edit: Edit) -> list[Chain]:
    builtin = [chain for chain in edit.chains.values() if chain.builtin]
    users = sorted((chain for chain in edit.chains.values() if not chain.builtin), key=lambda chain: chain.name)
    return builtin + users


def _listing(edit: Edit, line: CommandLine) -> str:
    """`-L [CHAIN [NUMBER]]` and `-S [CHAIN [NUMBER]]`."""
    name, number = line.chain, line.number
    if name is not None and name not in edit.chains:
        raise RefusedError(f"chain `{name}' in table `{edit.table.name}' is incompatible, use 'nft' tool.")
    if line.command == "-S":
        return "".join(text + "\n" for text in _show(edit, name, number, counters="-v" in line.flags))
    if name is None or number is None:
        return list_chains(edit.chains, name, line.style)
    return list_rule(edit.chains[name], number, line.style)


def _show(edit: Edit, name: str | None, number: int | None, *, counters: bool) -> Iterator[str]:
    """`-S`, and with -v what each counted."""
    if name is not None and number is not None:
        chain = edit.chains[name]
        yield from (_show_rule(chain, rule, counters) for rule in chain.rules[number - 1 : number])
        return
    chains = _in_order(edit) if name is None else [edit.chains[name]]
    for chain in chains:
        counted = f" -c {chain.packets} {chain.bytes}" if counters else ""
        yield f"-N {chain.name}" if chain.policy is None else f"-P {chain.name} {chain.policy.name}{counted}"
    for chain in chains:
        yield from (_show_rule(chain, rule, counters) for rule in chain.rules)


def _show_rule(chain: Chain, rule: Rule, counters: bool) -> str:
    return f"-A {chain.name} {rule.spec.format((rule.packets, rule.bytes) if counters else None)}".rstrip()
