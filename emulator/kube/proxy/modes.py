"""The modes of kube-proxy by name; each is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.errors import PodwireError
from emulator.kube.proxy.proxier import Proxier
from emulator.kube.proxy.settings import ProxyNode, ProxySettings

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns


class UnknownModeError(PodwireError):
    """A mode that kube-proxy has not, or that this version has not yet."""

    def __init__(self, mode: str) -> None:
        super().__init__(f'proxy mode "{mode}" is not there; choose one of {", ".join(MODES)}')


def _iptables(node: ProxyNode, settings: ProxySettings, netns: Netns | None) -> Proxier:
    from emulator.kube.proxy.iptables.iptables import IptablesProxy
    from emulator.kube.proxy.iptables.node import NetnsRules

    return IptablesProxy(node, settings, None if netns is None else NetnsRules(netns))


def _nftables(node: ProxyNode, settings: ProxySettings, netns: Netns | None) -> Proxier:
    from emulator.kube.proxy.nftables.nftables import NftablesProxy

    if netns is None:
        return NftablesProxy(node, settings)
    nft = netns.netfilter.nft
    return NftablesProxy(node, settings, lambda: ("ip", "kube-proxy") not in nft.tables)


def _ipvs(node: ProxyNode, settings: ProxySettings, netns: Netns | None) -> Proxier:
    from emulator.kube.proxy.ipvs.ipvs import IpvsProxy
    from emulator.kube.proxy.ipvs.netns import NetnsNode
    from emulator.kube.proxy.ipvs.node import FreshNode

    return IpvsProxy(node, settings, FreshNode(node) if netns is None else NetnsNode(netns))


Maker = Callable[[ProxyNode, ProxySettings, "Netns | None"], Proxier]

MODES: dict[str, Maker] = {"iptables": _iptables, "ipvs": _ipvs, "nftables": _nftables}
"""What makes the proxier of a mode: `MODES[mode](node, settings, netns)`."""


def make_proxier(mode: str, node: ProxyNode, settings: ProxySettings, netns: Netns | None = None) -> Proxier:
    """Return the proxier of a mode for one node. Raises UnknownModeError.

    `netns` is the node's own namespace, for modes that compare what is there; None for one that has nothing yet.
    """
    make = MODES.get(mode)
    if make is None:
        raise UnknownModeError(mode)
    return make(node, settings, netns)
