"""What kube-proxy knows of its node and how it is configured, whatever the mode."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct

LARGE_CLUSTER_ENDPOINTS = 1000
"""Above this many endpoints iptables mode leaves comments out and cleans up seldom (large cluster mode)."""

SYNC_PERIOD = 30.0
"""Seconds: kube-proxy's `syncPeriod`, after which it tries again what failed, and looks whether its rules are gone."""

FULL_SYNC_PERIOD = 3600.0
"""Seconds after which everything is written anew, even if nothing changed (`proxyutil.FullSyncPeriod`)."""

PRIMARY = "primary"
"""Among the node port addresses: the node's first one, whichever it is."""

IPVS_SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh")

_LOOPBACK = IPv4Address("127.0.0.1")


class ProxyNode(Struct, frozen=True):
    """The node that the rules are for."""

    name: str
    addresses: tuple[str, ...] = ()
    pod_cidr: str = ""
    zone: str = ""


class ProxySettings(Struct, frozen=True):
    """kube-proxy's configuration, with its defaults.

    `detect_local`: traffic from the node's pod CIDR counts as local (`--detect-local-mode NodeCIDR`).
    `node_port_addresses`: CIDRs whose addresses take node ports, or `PRIMARY`; empty for all (nftables mode: for the
    primary one).
    `localhost_node_ports`: iptables mode has node ports on 127.0.0.1 too, if the node port addresses have it.
    `service_cidrs`: where ClusterIPs come from; nftables mode drops what goes to one that no Service has.
    `ipvs_timeouts`: of TCP, of TCP after a FIN and of UDP, in seconds; 0 leaves one as it is.
    `ipvs_exclude_cidrs`: virtual servers at these addresses are not kube-proxy's to remove.
    """

    masquerade_all: bool = False
    masquerade_bit: int = 14
    detect_local: bool = True
    node_port_addresses: tuple[str, ...] = ()
    localhost_node_ports: bool = True
    conntrack_liberal: bool = False
    service_cidrs: tuple[str, ...] = ()
    ipvs_scheduler: str = "rr"
    ipvs_strict_arp: bool = False
    ipvs_timeouts: tuple[int, int, int] = (0, 0, 0)
    ipvs_exclude_cidrs: tuple[str, ...] = ()

    @property
    def node_port_networks(self) -> list[IPv4Network]:
        """The networks among the node port addresses; others' families and `PRIMARY` are none."""
        texts = (text for text in self.node_port_addresses if text != PRIMARY and ":" not in text)
        return [IPv4Network(text, strict=False) for text in texts]

    @property
    def all_node_port_addresses(self) -> bool:
        """Whether every address of a node takes node ports (`NodePortAddresses.MatchAll`)."""
        return not self.node_port_addresses or any(not network.prefixlen for network in self.node_port_networks)

    @property
    def serves_localhost(self) -> bool:
        """Whether iptables mode has node ports on 127.0.0.1 (`NodePortAddresses.ContainsIPv4Loopback`)."""
        has_loopback = self.all_node_port_addresses or any(_LOOPBACK in network for network in self.node_port_networks)
        return self.localhost_node_ports and has_loopback

    @property
    def masquerade_mark(self) -> str:
        """The mark that asks for masquerading, as rules print it."""
        return f"{1 << self.masquerade_bit:#x}"
