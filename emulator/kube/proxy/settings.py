"""What kube-proxy knows of its node and how it is configured, whatever the mode."""

from __future__ import annotations

from msgspec import Struct

LARGE_CLUSTER_ENDPOINTS = 1000
"""Above this many endpoints kube-proxy leaves comments out and cleans up seldom (large cluster mode)."""


class ProxyNode(Struct, frozen=True):
    """The node that the rules are for."""

    name: str
    addresses: tuple[str, ...] = ()
    pod_cidr: str = ""
    zone: str = ""


class ProxySettings(Struct, frozen=True):
    """kube-proxy's configuration, with its defaults.

    `detect_local`: traffic from the node's pod CIDR counts as local (`--detect-local-mode NodeCIDR`).
    `node_port_addresses`: CIDRs whose addresses take node ports; empty for all.
    `ipvs_timeouts`: of TCP, of TCP after a FIN and of UDP, in seconds; 0 leaves one as it is.
    `ipvs_exclude_cidrs`: virtual servers at these addresses are not kube-proxy's to remove.
    """

    masquerade_all: bool = False
    masquerade_bit: int = 14
    detect_local: bool = True
    node_port_addresses: tuple[str, ...] = ()
    localhost_node_ports: bool = True
    conntrack_liberal: bool = False
    ipvs_scheduler: str = "rr"
    ipvs_strict_arp: bool = False
    ipvs_timeouts: tuple[int, int, int] = (0, 0, 0)
    ipvs_exclude_cidrs: tuple[str, ...] = ()

    @property
    def masquerade_mark(self) -> str:
        """The mark that asks for masquerading, as rules print it."""
        return f"{1 << self.masquerade_bit:#x}"
