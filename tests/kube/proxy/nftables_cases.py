"""Services and endpoints for the tests of nftables mode, and the texts that its proxier makes of them."""

from __future__ import annotations

from typing import Any

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.proxy.nftables.nftables import NftablesProxy
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

NODE = ProxyNode("node-a", ("192.168.0.2", "192.168.1.2"), "10.0.0.0/8")
SETTINGS = ProxySettings(service_cidrs=("172.30.0.0/16",))
PREFIX = "ip kube-proxy "


def service(number: int, **spec: Any) -> Service:
    """Return Service svcN of namespace nsN at 172.30.0.40+N, port p80; keys in camel case are of the spec.

    `node_port`: of its port. `ingress`: the addresses of its load balancer.
    """
    node_port, ingress = spec.pop("node_port", 0), spec.pop("ingress", ())
    port = {"name": "p80", "port": 80, "protocol": "TCP"} | ({"nodePort": node_port} if node_port else {})
    return view(
        {
            "metadata": {"namespace": f"ns{number}", "name": f"svc{number}"},
            "spec": {"clusterIP": f"172.30.0.{40 + number}", "ports": [port]} | spec,
            "status": {"loadBalancer": {"ingress": [{"ip": address} for address in ingress]}},
        },
        Service,
    )


def endpoints(number: int, *addresses: str, port: int = 80, name: str = "p80", protocol: str = "TCP") -> EndpointSlice:
    """Return the endpoints of svcN: "address" or "address@node"; one that ends in "-" terminates, and still serves."""
    entries = []
    for text in addresses:
        address, _, node = text.rstrip("-").partition("@")
        conditions = {"ready": False, "serving": True, "terminating": True} if text.endswith("-") else {}
        entries.append({"addresses": [address], "nodeName": node or None, "conditions": conditions})
    labels = {"kubernetes.io/service-name": f"svc{number}"}
    return view(
        {
            "metadata": {"namespace": f"ns{number}", "name": f"svc{number}-{name}", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": name, "port": port, "protocol": protocol}],
            "endpoints": entries,
        },
        EndpointSlice,
    )


def text(*objects: Service | EndpointSlice, settings: ProxySettings = SETTINGS, node: ProxyNode = NODE) -> str:
    """Return a first sync's transaction."""
    return NftablesProxy(node, settings).sync(tracker(*objects), 0.0).nft


def tracker(*objects: Service | EndpointSlice) -> ServiceTracker:
    """Return what kube-proxy knows of these."""
    return ServiceTracker(
        [each for each in objects if isinstance(each, Service)],
        [each for each in objects if isinstance(each, EndpointSlice)],
    )


def commands(script: str, verb: str, kind: str) -> list[str]:
    """Return what follows "VERB KIND ip kube-proxy " in a script, in order."""
    start = f"{verb} {kind} {PREFIX}"
    return [line.removeprefix(start) for line in script.splitlines() if line.startswith(start)]


def rules(script: str, chain: str) -> list[str]:
    """Return the rules that a script adds to a chain."""
    return [rule.partition(" ")[2] for rule in commands(script, "add", "rule") if rule.partition(" ")[0] == chain]


def elements(script: str, name: str) -> list[str]:
    """Return the elements that a script adds to a set or map."""
    added = [line.partition(" ") for line in commands(script, "add", "element")]
    return sorted(rest.removeprefix("{ ").removesuffix(" }") for container, _, rest in added if container == name)
