"""The nftables of one namespace: its tables, and the hooks of their base chains.

Chains of family ip and inet see packets; those of ip6 are kept and printed, and see none, since there is no IPv6 here.
nat chains are asked by NAT, once a connection (nf_nat_core.c), all others are hooks of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.nft.table import NftChain, NftTable
from emulator.kernel.netfilter.reroute import rerouting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet

HOOKS = {
    "prerouting": Hook.PREROUTING,
    "input": Hook.INPUT,
    "forward": Hook.FORWARD,
    "output": Hook.OUTPUT,
    "postrouting": Hook.POSTROUTING,
}


class Nft:
    """Tables by family and name, in the order in which they were made."""

    def __init__(self, netfilter: Netfilter) -> None:
        self.netfilter = netfilter
        self.tables: dict[tuple[str, str], NftTable] = {}
        self.tracking = 0  # rules that need connection tracking
        self._next_handle = 1

    def take_handle(self) -> int:
        """Return the next table's handle."""
        handle = self._next_handle
        self._next_handle += 1
        return handle

    def load(self, text: str, *, file: str = "/dev/stdin", check: bool = False) -> str:
        """Run a script as `nft -f` does, all of it or nothing; return what its `list` commands print. NftError.

        The text may be what `nft list ruleset` prints. `check` changes nothing (`nft -c`).
        """
        from emulator.kernel.netfilter.nft.script.command import run

        return run(self, text, file, check=check)

    def load_json(self, text: str, *, check: bool = False) -> str:
        """Run the JSON of libnftables (`nft -j list ruleset` prints some), all of it or nothing. NftError."""
        from emulator.kernel.netfilter.nft.json.reader import script

        return self.load(script(text), file="json", check=check)

    def list_ruleset(self, *, handles: bool = False, stateless: bool = False) -> str:
        """Print all tables as `nft list ruleset` does."""
        from emulator.kernel.netfilter.nft.listing import Listing

        return Listing(self, handles=handles, stateless=stateless).ruleset()

    def list_json(self, *, stateless: bool = False) -> str:
        """Print all tables as `nft -j list ruleset` does."""
        from emulator.kernel.netfilter.nft.json.writer import ruleset

        return ruleset(self, stateless=stateless)

    def sets(self) -> Iterator[NftSet]:
        """Yield the named sets of all tables."""
        for table in self.tables.values():
            yield from table.sets.values()

    def hook(self, chain: NftChain) -> None:
        """Let packets enter a base chain."""
        base, table = chain.base, chain.table
        if base is None or table.family == "ip6" or table.dormant:
            return
        hook = HOOKS[base.hook]
        if base.kind == "nat":
            self.netfilter.nat.attach(hook, base.priority, chain.packets_hook)
        else:
            handle = rerouting(chain.packets_hook) if base.kind == "route" else chain.packets_hook
            self.netfilter.register(hook, base.priority, _hook_name(chain), handle)

    def unhook(self, chain: NftChain) -> None:
        """Let no packets enter it any more."""
        base, table = chain.base, chain.table
        if base is None or table.family == "ip6" or table.dormant:
            return
        if base.kind == "nat":
            self.netfilter.nat.detach(HOOKS[base.hook], chain.packets_hook)
        else:
            self.netfilter.unregister(frozenset({_hook_name(chain)}))


def _hook_name(chain: NftChain) -> str:
    return f"nft {chain.table.title} {chain.name}"
