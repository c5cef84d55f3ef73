"""Writes what differs between two clusters of one shape by name: namespaces, links, MACs, pods' addresses, ports."""

import re
from collections.abc import Mapping

from emulator.kube.proxy.names import endpoint_chain
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import NODES, output

PODS = {"client": "10.244.0.2", "near": "10.244.0.3", "far": "10.244.1.2"}
"""The addresses that the files give the pods, whatever order they came up in."""

FIRST_PORT = 40_000
_KNOWN_PORTS = {"8080", "8081"}
_PORT = re.compile(r"(?P<before>\d+\.\d+\.\d+\.\d+[.:]|[sd]port=)(?P<port>\d{4,5})\b")
_NUMBERS = re.compile(r"\b(?P<field>seq|ack|TS val|ecr|id|identifier)(?P<mark>[ =])[1-9]\d*")


async def canonical(cluster: Cluster, text: str) -> str:
    """Return a trace as the golden files have it."""
    names = await _names(cluster)
    # Longest first and all at once: a name must not be found within another, nor within what was put for one.
    known = re.compile(
        "|".join(rf"(?<![\w.]){re.escape(name)}(?![\w])" for name in sorted(names, key=len, reverse=True))
    )
    text = known.sub(lambda found: names[found[0]], text)
    return _NUMBERS.sub(lambda found: f"{found['field']}{found['mark']}N", _renumber_ports(text))


def _renumber_ports(text: str) -> str:
    seen: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        port = found["port"]
        if port not in _KNOWN_PORTS:
            port = seen.setdefault(port, str(FIRST_PORT + len(seen)))
        return found["before"] + port

    return _PORT.sub(number, text)


async def _names(cluster: Cluster) -> Mapping[str, str]:
    names = {}
    namespaces = {}
    for pod in await cluster.objects("Pod", "default"):
        name, address = pod["metadata"]["name"], pod["status"]["podIP"]
        namespaces[f"cni-{pod['metadata']['uid']}"] = name
        names[f"cni-{pod['metadata']['uid']}"] = f"cni-<{name}>"
        names[address] = PODS[name]
        names[_macs(await output(cluster.pod(name), "ip", "link"))["eth0"][0]] = f"<{name} eth0>"
    for service in await cluster.objects("Service", "default"):
        port = f"default/{service['metadata']['name']}:http"
        for actual, shown in [(old, new) for old, new in names.items() if new in PODS.values()]:
            chain, shown_chain = (endpoint_chain(port, "tcp", f"{address}:8080") for address in (actual, shown))
            names[chain] = shown_chain
    for node in NODES:
        for link, (mac, namespace) in _macs(await output(cluster.node(node), "ip", "link")).items():
            owner = namespaces.get(namespace)
            shown = f"veth-{owner}" if owner else link
            names[mac] = f"<{node} {shown}>"
            if owner:
                names[link] = shown
    for host in (await cluster.status()).hosts:
        for link, (mac, _) in _macs(await output(cluster.host(host.name), "ip", "link")).items():
            names[mac] = f"<{host.name} {link}>"
    return names


def _macs(text: str) -> dict[str, tuple[str, str]]:
    """Each Ethernet link in what `ip link` prints: its MAC, and the namespace of its peer if it has one."""
    found = re.finditer(r"^\d+: ([^:@]+)[^\n]*\n\s+link/ether (\S+) brd \S+(?: link-netns (\S+))?", text, re.MULTILINE)
    return {link: (mac, namespace) for link, mac, namespace in (match.groups(default="") for match in found)}
