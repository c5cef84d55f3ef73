"""Hands what kube-proxy writes to the tools of one namespace: the only place where its texts meet a kernel."""

from __future__ import annotations

from ipaddress import IPv4Address

from emulator.kernel.link.dummy import Dummy
from emulator.kernel.link.link import Link
from emulator.kernel.netns import Netns
from emulator.kube.proxy.proxier import Writes

_HOST_LENGTH = 32


def apply_writes(netns: Netns, writes: Writes) -> None:
    """Do all of `writes`, in its order. Raises the tool's error; what came before it is done."""
    for name, value in writes.sysctls:
        netns.sysctl.set(name, value)
    link = _link(netns, writes)
    if link is not None:
        for text in writes.add_addresses:
            netns.add_address(link, int(IPv4Address(text)), _HOST_LENGTH)
    if writes.ipset:
        netns.netfilter.sets.restore(writes.ipset, exist=True)
    if writes.ipvsadm:
        netns.netfilter.ipvs.run(writes.ipvsadm)
    if writes.iptables:
        netns.netfilter.restore(writes.iptables, noflush=True)
    if writes.nft:
        netns.netfilter.nft.load(writes.nft)
    if link is not None:
        for text in writes.remove_addresses:
            netns.remove_address(link, int(IPv4Address(text)), _HOST_LENGTH)
    for name in writes.destroy_sets:
        netns.netfilter.sets.destroy(name)
    if link is not None and writes.remove_dummy:
        netns.remove_link(link)


def _link(netns: Netns, writes: Writes) -> Link | None:
    """Return the dummy link that `writes` is about, made where it is needed."""
    link = netns.links.get(writes.dummy)
    if link is None and writes.dummy and not writes.remove_dummy:
        link = Dummy(netns, writes.dummy, netns.kernel.random.getrandbits(48) & 0xFEFFFFFFFFFF | 0x020000000000)
    return link
