"""What iptables mode reads of its node at a full sync, as kube-proxy does: which rules and chains are there already.

Source: pkg/util/iptables/iptables.go (`EnsureRule`, `GetChainsFromTable`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netfilter.iptables.words import split

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns


class IptablesNode(Protocol):
    """The tables of one node."""

    def has_rule(self, table: str, chain: str, rule: str) -> bool:
        """Whether a rule is in a chain (`iptables -C`)."""

    def chains(self, table: str) -> Collection[str]:
        """Return the names of a table's chains."""


class FreshNode:
    """A node that nobody has written rules to: what `emulator proxy render` writes for."""

    def has_rule(self, table: str, chain: str, rule: str) -> bool:
        """Return False."""
        del table, chain, rule
        return False

    def chains(self, table: str) -> Collection[str]:
        """Return none."""
        del table
        return ()


class NetnsRules:
    """The tables of a namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netfilter = netns.netfilter

    def has_rule(self, table: str, chain: str, rule: str) -> bool:
        """Whether a rule is in a chain (`iptables -C`)."""
        if table not in self._netfilter.tables:
            return False
        try:
            iptables(self._netfilter, ["-t", table, "-C", chain, *split(rule)])
        except RuleError:
            return False
        return True

    def chains(self, table: str) -> Collection[str]:
        """Return the names of a table's chains."""
        found = self._netfilter.tables.get(table)
        return () if found is None else found.chains.keys()
