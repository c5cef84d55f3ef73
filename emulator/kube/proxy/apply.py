"""Hands what kube-proxy writes to the tools of one namespace: the only place where its texts meet a kernel."""

from __future__ import annotations

from emulator.kernel.netns import Netns
from emulator.kube.proxy.proxier import Writes


def apply_writes(netns: Netns, writes: Writes) -> None:
    """Do all of `writes`, in its order. Raises the tool's error; what came before it is done."""
    for name, value in writes.sysctls:
        netns.sysctl.set(name, value)
    if writes.iptables:
        netns.netfilter.restore(writes.iptables, noflush=True)
    if writes.nft:
        netns.netfilter.nft.load(writes.nft)
