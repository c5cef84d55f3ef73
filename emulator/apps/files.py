"""The few files that a container of a pod has, made from its network: resolv.conf, hosts, the knobs under /proc/sys."""

from __future__ import annotations

from emulator.apps.environment import Network
from emulator.kernel.sysctl import SysctlError

_SYSCTL = "/proc/sys/"


def read_file(network: Network, hostname: str, path: str) -> str | None:
    """Return a file's text, or None if there is none."""
    if path == "/etc/resolv.conf":
        return resolv_conf(network)
    if path == "/etc/hosts":
        return hosts(network)
    if path in {"/etc/hostname", "/proc/sys/kernel/hostname"}:
        return f"{hostname}\n"
    if path == "/dev/null":
        return ""
    if path.startswith(_SYSCTL):
        try:
            return network.netns.sysctl.get(path.removeprefix(_SYSCTL).replace("/", ".")) + "\n"
        except SysctlError:
            return None
    return None


def resolv_conf(network: Network) -> str:
    """Write /etc/resolv.conf as the kubelet does."""
    lines = [f"search {' '.join(network.search)}"] if network.search else []
    lines += [f"nameserver {address}" for address in network.nameservers]
    options = network.resolver_options or ([f"ndots:{network.ndots}"] if network.ndots != 1 else [])
    if options:
        lines.append(f"options {' '.join(options)}")
    return "".join(f"{line}\n" for line in lines)


def hosts(network: Network) -> str:
    """Write /etc/hosts as the kubelet does: a line for each address."""
    names: dict[str, list[str]] = {}
    for name, address in network.hosts.items():
        names.setdefault(address, []).append(name)
    lines = ["\t".join([address, *found]) for address, found in names.items()]
    return "".join(f"{line}\n" for line in ["# Kubernetes-managed hosts file.", *lines])
