"""What a bundle lacks and the answers depend on: files that are not there, and state that no tool prints."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.link.bridge import Bridge
from emulator.kernel.netfilter.match.statistic import Statistic

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems
    from emulator.kernel.netfilter.match.base import Match
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netns import Netns

# Not sysctl.txt, whose loader says more, nor ipset-save.txt, without which a rule that asks for a set is refused.
_INSTEAD = MappingProxyType(
    {
        "iptables-save.txt": "no rules of iptables",
        "conntrack.txt": "no connections",
        "routes.json": "connected routes only",
        "rules.json": "Linux's three",
    }
)

_NOT_SAVED = MappingProxyType(
    {
        "limit": "how much credit was left is not in a bundle: taken as full",
        "hashlimit": "how much credit each had left is not in a bundle: all are taken as full",
        "recent": "which addresses were seen is not in a bundle: taken as none",
        "statistic": "how far --mode nth had counted is not in a bundle: it begins anew",
    }
)


def note_not_there(netns: Netns, files: Files, problems: Problems, *, made_up: bool) -> None:
    """Note in one line each file that is not there, and what is taken instead. `made_up`: the MACs of next hops are."""
    instead = dict(_INSTEAD)
    instead["neigh.json"] = "MACs of next hops are made up" if made_up else "no neighbours"
    if any(isinstance(link, Bridge) for link in netns.links.values()):
        instead["fdb.json"] = "bridges know no stations yet"
    lacking = [f"{name} ({what})" for name, what in instead.items() if not files.is_there(name)]
    if lacking:
        problems.note(f"not there: {', '.join(lacking)}")


def note_not_saved(netfilter: Netfilter, problems: Problems) -> None:
    """Note once of each kind of match that its rules remember what iptables-save does not print."""
    used = {
        _kind(match)
        for table in netfilter.tables.values()
        for chain in table.chains.values()
        for rule in chain.rules
        for match in rule.spec.matches
    }
    for name, what in _NOT_SAVED.items():
        if name in used:
            problems.note(f"{name}: {what}")


def _kind(match: Match) -> str:
    """Return the name, or nothing for chance, which has no state that a bundle could have."""
    return "" if isinstance(match, Statistic) and not match.every else match.name
