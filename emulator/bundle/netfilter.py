"""ipset-save.txt, iptables-save.txt and conntrack.txt: sets first, then the rules that ask them, then connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.entry_text import EntryTextError
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.ipset.error import IpsetRestoreError

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems
    from emulator.kernel.netfilter.iptables.ignored import IgnoredLine
    from emulator.kernel.netfilter.netfilter import Netfilter

RULES, SETS, CONNECTIONS = "iptables-save.txt", "ipset-save.txt", "conntrack.txt"
_ADVICE = "; --ignore-unknown lets such rules never match"


def load_netfilter(
    netfilter: Netfilter, files: Files, problems: Problems, *, ignore_unknown: bool
) -> tuple[IgnoredLine, ...]:
    """Load all three; return the lines of rules that never match because they use what is unknown."""
    sets, rules, entries = files.text(SETS), files.text(RULES), files.text(CONNECTIONS)
    if sets is not None:
        _load_sets(netfilter, sets, problems)
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


def _load_sets(netfilter: Netfilter, text: str, problems: Problems) -> None:
    try:
        netfilter.sets.restore(text)
    except IpsetRestoreError as error:
        problems.add(f"{SETS}: line {error.line}", error.message)
