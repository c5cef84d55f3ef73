"""ipset-save.txt, iptables-save.txt and conntrack.txt: sets first, then the rules that ask them, then connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.entry_text import EntryTextError
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.ipset.error import IpsetRestoreError
from emulator.kernel.netfilter.ipset.restore import split
from emulator.kernel.netfilter.ipset.types import SET_TYPES

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems
    from emulator.kernel.netfilter.ignored import IgnoredLine
    from emulator.kernel.netfilter.netfilter import Netfilter

RULES, SETS, CONNECTIONS = "iptables-save.txt", "ipset-save.txt", "conntrack.txt"
_ADVICE = "; --ignore-unknown lets such rules never match"


def load_netfilter(
    netfilter: Netfilter, files: Files, problems: Problems, *, ignore_unknown: bool
) -> tuple[IgnoredLine, ...]:
    """Load all three; return the lines of rules that never match because they use what is unknown."""
    sets, rules, entries = files.text(SETS), files.text(RULES), files.text(CONNECTIONS)
    if sets is not None:
        _load_sets(netfilter, sets, problems, ignore_unknown)
    ignored: tuple[IgnoredLine, ...] = ()
    if rules is not None:
        try:
            ignored = tuple(netfilter.restore(rules, ignore_unknown=ignore_unknown))
        except RestoreError as error:
            problems.add(f"{RULES}: line {error.line}", f"{error.message}{'' if error.unknown is None else _ADVICE}")
    if entries is not None:
        try:
            if netfilter.conntrack.load(entries):
                netfilter.conntrack.enable()  # where there are entries, something tracks
        except EntryTextError as error:
            problems.add(f"{CONNECTIONS}: line {error.line}", error.message)
    return ignored


def _load_sets(netfilter: Netfilter, text: str, problems: Problems, ignore_unknown: bool) -> None:
    """Load sets; those of unknown types are left out if asked to, and then rules cannot ask them."""
    lines = text.splitlines()
    unknown = _unknown_sets(lines)
    if unknown and not ignore_unknown:
        for name, (line, kind) in unknown.items():
            known = ", ".join(sorted(SET_TYPES))
            problems.add(f"{SETS}: line {line}", f"set {name} has the unknown type {kind}; known are {known}{_ADVICE}")
    if unknown:
        left_out = {name for name, _ in unknown.items()}
        lines = ["" if _subject(line) in left_out else line for line in lines]
        problems.note(f"{SETS}: left out, with the rules that ask them: {', '.join(left_out)}")
    try:
        netfilter.sets.restore("\n".join(lines))
    except IpsetRestoreError as error:
        problems.add(f"{SETS}: line {error.line}", error.message)


def _unknown_sets(lines: list[str]) -> dict[str, tuple[int, str]]:
    """Return name, line and type of the sets whose type is not here."""
    found = {}
    for number, line in enumerate(lines, 1):
        match split(line):
            case ["create", name, kind, *_] if kind not in SET_TYPES:
                found[name] = (number, kind)
    return found


def _subject(line: str) -> str:
    """The set that a line is about."""
    words = split(line)
    return words[1] if len(words) > 1 else ""
