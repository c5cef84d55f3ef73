"""What connection tracking says of one packet, in the words of rules and traces."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

_STATES = MappingProxyType(
    {
        CtInfo.NEW: "NEW",
        CtInfo.ESTABLISHED: "ESTABLISHED",
        CtInfo.ESTABLISHED_REPLY: "ESTABLISHED",
        CtInfo.RELATED: "RELATED",
        CtInfo.RELATED_REPLY: "RELATED",
        CtInfo.UNTRACKED: "UNTRACKED",
    }
)


def state_name(skb: Skb) -> str:
    """Return the packet's ctstate as rules name it."""
    if skb.ct is None and skb.ctinfo is not CtInfo.UNTRACKED:
        return "INVALID"
    return _STATES[skb.ctinfo]


def entry_of(skb: Skb) -> str:
    """Return the packet's entry as `conntrack -L` prints it, or nothing if it has none."""
    return "" if skb.ct is None else str(skb.ct)
