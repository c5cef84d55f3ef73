"""What a pod's resolver is told: its /etc/resolv.conf and /etc/hosts, as the kubelet writes them.

Source: pkg/kubelet/network/dns/dns.go, pkg/kubelet/kubelet_pods.go (hosts).
"""

from __future__ import annotations

from msgspec import Struct

from emulator.api.objects.pod import Pod

DOMAIN = "cluster.local"


class ResolverConfig(Struct, frozen=True):
    """A pod's /etc/resolv.conf."""

    nameservers: tuple[str, ...]
    search: tuple[str, ...]
    options: tuple[tuple[str, str], ...]

    @property
    def ndots(self) -> int:
        """How many dots a name needs to be asked for as it is first (resolv.conf(5): 1 unless told)."""
        return next((int(value) for name, value in self.options if name == "ndots" and value.isdigit()), 1)

    @property
    def option_words(self) -> tuple[str, ...]:
        """The options as they are written."""
        return tuple(f"{name}:{value}" if value else name for name, value in self.options)

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        if self.options:
            lines.append(f"options {' '.join(self.option_words)}")
        return "\n".join(lines) + "\n"


def pod_resolver(pod: Pod, cluster_dns: str, node_nameservers: tuple[str, ...] = ()) -> ResolverConfig:
    """Return the resolver of a pod by its `dnsPolicy` and `dnsConfig`."""
    spec = pod.spec
    nameservers: tuple[str, ...]
    search: tuple[str, ...] = ()
    options: dict[str, str] = {}
    policy = spec.dns_policy
    if policy == "ClusterFirst" and spec.host_network:
        policy = "Default"
    if policy in {"ClusterFirst", "ClusterFirstWithHostNet"}:
        nameservers = (cluster_dns,)
        search = (f"{pod.metadata.namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN)
        options["ndots"] = "5"
    else:
        nameservers = node_nameservers if policy == "Default" else ()
    options |= {option.name: option.value or "" for option in spec.dns_config.options}
    return ResolverConfig(
        tuple(dict.fromkeys((*nameservers, *spec.dns_config.nameservers)))[:3],
        tuple(dict.fromkeys((*search, *spec.dns_config.searches)))[:32],
        tuple(options.items()),
    )


def pod_hosts(pod: Pod, address: str) -> dict[str, str]:
    """Return a pod's /etc/hosts, name to address."""
    hosts = {"localhost": "127.0.0.1"}
    for alias in pod.spec.host_aliases:
        hosts |= dict.fromkeys(alias.hostnames, alias.ip)
    hostname = pod.spec.hostname or pod.metadata.name
    if pod.spec.subdomain:  # the full name is the canonical one, as in the kubelet's file
        hosts[f"{hostname}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{DOMAIN}"] = address
    hosts[hostname] = address
    return hosts
