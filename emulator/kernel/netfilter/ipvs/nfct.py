"""IPVS and connection tracking (ip_vs_nfct.c, and the parts of include/net/ip_vs.h for it).

With net.ipv4.vs.conntrack an entry's answer is made to be the real server's, so that rules in POSTROUTING (MASQUERADE)
and the entry's state work for balanced connections; without, their packets are untracked from here on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import CONFIRMED, DYING, TEMPLATE
from emulator.kernel.netfilter.conntrack.tuple import ICMP
from emulator.kernel.netfilter.ipvs.service import Forwarding
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.skb import Skb

_REPLIES = frozenset({CtInfo.ESTABLISHED_REPLY, CtInfo.RELATED_REPLY})


def untrack(skb: Skb) -> None:
    """Take a packet off its conntrack entry (`ip_vs_notrack`)."""
    skb.ct = None
    skb.ctinfo = CtInfo.UNTRACKED


def uses_old_conntrack(connection: IpvsConnection, skb: Skb) -> bool:
    """Whether a packet has an entry already that sends it to the connection's real server."""
    return connection.uses_conntrack and skb.ct is not None and bool(skb.ct.status & CONFIRMED)


def update_conntrack(skb: Skb, connection: IpvsConnection, *, to_server: bool) -> None:
    """Make a new entry's answer what it will be: from the real server, or to the service (`ip_vs_update_conntrack`)."""
    entry = skb.ct
    if entry is None or entry.status & (CONFIRMED | DYING | TEMPLATE) or skb.ctinfo in _REPLIES:
        return
    if connection.forwarding is not Forwarding.MASQUERADE:
        return
    reply = entry.reply
    with_port = reply.protocol != ICMP
    if to_server:
        reply = reply._replace(saddr=connection.daddr, sport=connection.dport if with_port else reply.sport)
    else:
        reply = reply._replace(daddr=connection.vaddr, dport=connection.vport if with_port else reply.dport)
    entry.reply = reply
