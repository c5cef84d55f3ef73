"""What is noted of one packet on its way, far cheaper than a trace: `emulator replay` makes one for each packet.

The packet's copies and fragments share its record; answers that it causes (ICMP errors, resets) have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import Connection

if TYPE_CHECKING:
    from emulator.kernel.drop import DropReason
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.netfilter.iptables.rule import Rule
    from emulator.kernel.netfilter.nft.table import NftChain, NftRule
    from emulator.kernel.skb import Skb


class Record:
    """The notes of one packet.

    `rules`: the rules that matched, in order, each with its chain. `policy`: the chain whose policy dropped it.
    `ignored`: chain and number of the rules that it passed and that never match (`--ignore-unknown`).

    `state` and `connection` are what conntrack first said; the state is empty where conntrack never saw the packet.
    `drops` has a reason for each copy that was dropped. `delivered` and `left` say that local delivery took it, and
    that it (or a copy) left the machine; whoever is at these ends sets them.
    """

    __slots__ = ("connection", "delivered", "drops", "ignored", "left", "policy", "rules", "state")

    def __init__(self) -> None:
        self.rules: list[tuple[Chain, Rule] | tuple[NftChain, NftRule]] = []
        self.ignored: list[tuple[Chain, int]] = []
        self.policy: Chain | NftChain | None = None
        self.state = ""
        self.connection: Connection | None = None
        self.drops: list[DropReason] = []
        self.delivered = False
        self.left = False

    def note_connection(self, state: str, skb: Skb) -> None:
        """Note what conntrack made of the packet."""
        self.state = state
        self.connection = skb.ct if isinstance(skb.ct, Connection) else None
