"""Local packets that OUTPUT changed are routed anew: from POSTROUTING on they go the other way.

Linux does so behind the mangle table and behind nft chains of type route, where a chain changed the addresses, the mark
or the TOS (ipt_mangle_out, nft_chain_route.c), and behind NAT, where the destination is another one. A mark that
another table sets changes no way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_DROP, Hook, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

_TOS = 1  # offset in the IPv4 header


def reroute(netns: Netns, skb: Skb) -> Verdict:
    """Find the way to where a local packet goes now (ip_route_me_harder). On DROP it has been counted."""
    link = skb.out_link
    decision = netns.ip.reroute(skb)
    skb.out_link = link  # what `-o` sees stays as it was until all of OUTPUT has passed (nf_hook_state.out)
    if isinstance(decision, DropReason):
        skb.route = None
        netns.drop(skb, decision)
        return NF_DROP
    return NF_ACCEPT


def rerouting(handle: Callable[[Netns, Hook, Skb], Verdict]) -> Callable[[Netns, Hook, Skb], Verdict]:
    """Return a hook function that routes anew what `handle` changed."""

    def function(netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        before = (skb.daddr, skb.saddr, skb.mark, skb.data[skb.network + _TOS])
        verdict = handle(netns, hook, skb)
        if verdict is NF_ACCEPT and before != (skb.daddr, skb.saddr, skb.mark, skb.data[skb.network + _TOS]):
            return reroute(netns, skb)
        return verdict

    return function
