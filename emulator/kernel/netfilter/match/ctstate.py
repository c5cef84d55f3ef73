"""A packet's connection state as a bit, for `-m state` and `-m conntrack --ctstate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import DST_NAT, SRC_NAT
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.skb import IP_CT_UNTRACKED, CtInfo

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

INVALID, ESTABLISHED, RELATED, NEW, SNAT, DNAT, UNTRACKED = 1, 2, 4, 8, 16, 32, 64
# In the order in which they are printed (libxt_conntrack.c, libxt_state.c).
_NAMES = {
    "INVALID": INVALID,
    "NEW": NEW,
    "RELATED": RELATED,
    "ESTABLISHED": ESTABLISHED,
    "UNTRACKED": UNTRACKED,
    "SNAT": SNAT,
    "DNAT": DNAT,
}
BY_INFO = {
    CtInfo.ESTABLISHED: ESTABLISHED,
    CtInfo.ESTABLISHED_REPLY: ESTABLISHED,
    CtInfo.RELATED: RELATED,
    CtInfo.RELATED_REPLY: RELATED,
    CtInfo.NEW: NEW,
    CtInfo.UNTRACKED: UNTRACKED,
}


def format_state(skb: Skb) -> str:
    """Return the state of a packet as rules name it: NEW,DNAT."""
    return format_states(state_of(skb))


def parse_states(text: str, what: str, *, virtual: bool) -> int:
    """Read a comma-separated list of states; `virtual` allows SNAT and DNAT."""
    states = 0
    for name in text.split(","):
        state = _NAMES.get(name.upper())
        if state is None or (state in (SNAT, DNAT) and not virtual):
            raise RuleError(f'Bad {what} "{name}"')
        states |= state
    return states


def format_states(states: int) -> str:
    """Print the list."""
    return ",".join(name for name, state in _NAMES.items() if states & state)


def untranslated_states(mask: int, *, inverted: bool) -> tuple[frozenset[CtInfo], frozenset[CtInfo]]:
    """Return which `ctinfo` match a mask without SNAT and DNAT: of packets without a connection, of those with one."""
    without = frozenset(
        info for info in CtInfo if bool(mask & (UNTRACKED if info is IP_CT_UNTRACKED else INVALID)) is not inverted
    )
    return without, frozenset(info for info, state in BY_INFO.items() if bool(mask & state) is not inverted)


def state_of(skb: Skb) -> int:
    """Return the packet's state bits, with SNAT and DNAT if its connection is translated."""
    connection = skb.ct
    if connection is None:
        return UNTRACKED if skb.ctinfo is IP_CT_UNTRACKED else INVALID
    state = BY_INFO[skb.ctinfo]
    if connection.status & (SRC_NAT | DST_NAT):
        if connection.status & SRC_NAT:
            state |= SNAT
        if connection.status & DST_NAT:
            state |= DNAT
    return state
