"""What reconcilers and admission look objects up by; the store keeps these indexes (`Reader.find`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from types import MappingProxyType

from emulator.api.objects.endpointslice import SERVICE_NAME_LABEL
from emulator.api.objects.meta import Object
from emulator.api.store.index import Index


def _controllers(obj: Object) -> Iterator[str]:
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            yield reference.get("uid", "")


def _labels(obj: Object) -> Iterator[tuple[str, str, str]]:
    namespace = obj["metadata"].get("namespace", "")
    for key, value in (obj["metadata"].get("labels") or {}).items():
        yield namespace, key, value


def _node(pod: Object) -> Iterator[str]:
    yield pod["spec"].get("nodeName", "")


def _selector(service: Object) -> Iterator[tuple[str, str, str]]:
    """Yield one pair of the selector: a pod that has not this one is not selected."""
    selector = service["spec"].get("selector")
    if selector:
        key = max(selector)
        yield service["metadata"].get("namespace", ""), key, selector[key]


def _service(endpoint_slice: Object) -> Iterator[tuple[str, str]]:
    name = (endpoint_slice["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)
    if name:
        yield endpoint_slice["metadata"].get("namespace", ""), name


def _cluster_ip(service: Object) -> Iterator[str]:
    address = service["spec"].get("clusterIP")
    if address and address != "None":
        yield address


def _node_ports(service: Object) -> Iterator[int]:
    for port in service["spec"].get("ports") or ():
        if port.get("nodePort"):
            yield port["nodePort"]
    if service["spec"].get("healthCheckNodePort"):
        yield service["spec"]["healthCheckNodePort"]


def _balancer_addresses(service: Object) -> Iterator[str]:
    spec = service["spec"]
    if spec.get("type") == "LoadBalancer":
        ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
        yield from (entry["ip"] for entry in ingress if entry.get("ip"))
        if not ingress and not spec.get("loadBalancerClass"):
            yield ""


def _pod_networks(node: Object) -> Iterator[tuple[str, IPv4Network]]:
    text = (node.get("spec") or {}).get("podCIDR")
    if text and ":" not in text:
        network = IPv4Network(text, strict=False)
        yield "is", network
        for length in range(network.prefixlen):
            yield "within", network.supernet(new_prefix=length)


BY_CONTROLLER: Mapping[str, Index] = MappingProxyType(
    {kind: Index(kind, _controllers) for kind in ("Pod", "ReplicaSet")}
)
"""By the uid of the controller that owns them."""
PODS_BY_LABEL = Index("Pod", _labels)
"""By (namespace, label, value)."""
PODS_BY_NODE = Index("Pod", _node)
"""By the node's name; those that wait for one under the empty name."""
SERVICES_BY_SELECTOR = Index("Service", _selector)
"""By (namespace, label, value) of one pair that a pod must have to be selected."""
SERVICES_BY_ADDRESS = Index("Service", _cluster_ip)
"""By cluster IP."""
SERVICES_BY_NODE_PORT = Index("Service", _node_ports)
"""By node port, health check ones too; protocols share the numbers, as in Kubernetes' allocator."""
BALANCERS_BY_ADDRESS = Index("Service", _balancer_addresses)
"""Services of type LoadBalancer by the addresses in their status; those that wait for one under the empty text."""
SLICES_BY_SERVICE = Index("EndpointSlice", _service)
"""By (namespace, name) of their Service."""
NODES_BY_POD_NETWORK = Index("Node", _pod_networks)
"""By ("is", pod CIDR) and ("within", each network around it)."""
