"""The rules of iptables mode that do not depend on any Service: chains, the jumps to them, marks and masquerading.

Source: pkg/proxy/iptables/proxier.go (`iptablesJumpChains` and the end of `syncProxyRules`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from emulator.kube.proxy.settings import PRIMARY, ProxyNode, ProxySettings

CANARY = "KUBE-PROXY-CANARY"
"""A chain that nothing uses: where it is gone, somebody has flushed the tables."""

# By table, in the order in which a sync writes them and in which kube-proxy looks for canaries.
FIXED_CHAINS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mangle": (CANARY,),
        "filter": (
            "KUBE-SERVICES",
            "KUBE-EXTERNAL-SERVICES",
            "KUBE-FORWARD",
            "KUBE-NODEPORTS",
            "KUBE-PROXY-FIREWALL",
            "KUBE-FIREWALL",
            CANARY,
        ),
        "nat": ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", CANARY),
    }
)

_NEW = '-m conntrack --ctstate NEW -m comment --comment "{comment}"'
# (table, source chain, destination chain, condition), in the order in which kube-proxy prepends them.
_JUMPS = (
    ("filter", "INPUT", "KUBE-EXTERNAL-SERVICES", _NEW.format(comment="kubernetes externally-visible service portals")),
    (
        "filter",
        "FORWARD",
        "KUBE-EXTERNAL-SERVICES",
        _NEW.format(comment="kubernetes externally-visible service portals"),
    ),
    ("filter", "INPUT", "KUBE-NODEPORTS", '-m comment --comment "kubernetes health check service ports"'),
    ("filter", "FORWARD", "KUBE-SERVICES", _NEW.format(comment="kubernetes service portals")),
    ("filter", "OUTPUT", "KUBE-SERVICES", _NEW.format(comment="kubernetes service portals")),
    ("filter", "FORWARD", "KUBE-FORWARD", '-m comment --comment "kubernetes forwarding rules"'),
    ("filter", "INPUT", "KUBE-PROXY-FIREWALL", _NEW.format(comment="kubernetes load balancer firewall")),
    ("filter", "OUTPUT", "KUBE-PROXY-FIREWALL", _NEW.format(comment="kubernetes load balancer firewall")),
    ("filter", "FORWARD", "KUBE-PROXY-FIREWALL", _NEW.format(comment="kubernetes load balancer firewall")),
    ("nat", "OUTPUT", "KUBE-SERVICES", '-m comment --comment "kubernetes service portals"'),
    ("nat", "PREROUTING", "KUBE-SERVICES", '-m comment --comment "kubernetes service portals"'),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING", '-m comment --comment "kubernetes postrouting rules"'),
)
# The kubelet installs these two.
_FIREWALL_JUMPS = (("filter", "INPUT", "KUBE-FIREWALL", ""), ("filter", "OUTPUT", "KUBE-FIREWALL", ""))


def jump_rules(table: str, settings: ProxySettings) -> list[tuple[str, str]]:
    """Return the jumps from `table`'s built-in chains, and their chains, in the order of prepending them."""
    jumps = (*_FIREWALL_JUMPS, *_JUMPS) if settings.serves_localhost else _JUMPS
    return [
        (source, " ".join(filter(None, (condition, f"-j {target}"))))
        for in_table, source, target, condition in jumps
        if in_table == table
    ]


def fixed_filter_rules(settings: ProxySettings) -> list[str]:
    """Return the rules of KUBE-FORWARD and KUBE-FIREWALL."""
    mark = settings.masquerade_mark
    rules = [] if settings.conntrack_liberal else ["-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP"]
    rules += [
        f'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT',
        (
            '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule"'
            " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        ),
    ]
    if settings.serves_localhost:
        rules.append(
            '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8'
            " ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )
    return rules


def fixed_nat_rules(settings: ProxySettings) -> list[str]:
    """Return the rules of KUBE-POSTROUTING and KUBE-MARK-MASQ."""
    mark = settings.masquerade_mark
    return [
        f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN",
        # Cleared first, so that a packet that is encapsulated and comes here again is not masqueraded twice.
        f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}",
        (
            '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT"'
            " -j MASQUERADE --random-fully"
        ),
        f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}",
    ]


def node_port_dispatch(node: ProxyNode, settings: ProxySettings) -> list[str]:
    """Return the last rules of nat KUBE-SERVICES: what is for this node itself may be for a node port."""
    start = (
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports;'
        ' NOTE: this must be the last rule in this chain"'
    )
    if not settings.all_node_port_addresses:
        return [f"{start} -d {address} -j KUBE-NODEPORTS" for address in _node_port_addresses(node, settings)]
    not_loopback = "" if settings.serves_localhost else " ! -d 127.0.0.0/8"
    return [f"{start} -m addrtype --dst-type LOCAL{not_loopback} -j KUBE-NODEPORTS"]


def _node_port_addresses(node: ProxyNode, settings: ProxySettings) -> Sequence[str]:
    """Return the node's addresses that take node ports (`NodePortAddresses.GetNodeIPs`), the loopback link's last."""
    networks = settings.node_port_networks
    own = [*node.addresses, "127.0.0.1"] if settings.serves_localhost else node.addresses
    primary = node.addresses[:1] if PRIMARY in settings.node_port_addresses else ()
    return [text for text in own if text in primary or any(ipaddress.IPv4Address(text) in each for each in networks)]
