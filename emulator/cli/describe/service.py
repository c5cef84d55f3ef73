"""The description of a Service: its ports, and the endpoints behind each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emulator.api.messages import ListParams, Object
from emulator.cli.client import Client
from emulator.cli.columns.columns import labels_text
from emulator.cli.describe.page import NONE, Page, head
from emulator.cli.lists import list_all

_SERVICE_NAME = "kubernetes.io/service-name"
_PENDING = (
    "podwire.dev/LoadBalancerPending"  # `kube.load_balancer.PENDING`: the command line imports only what it needs
)
_POLICIES = (
    ("External Traffic Policy", "externalTrafficPolicy"),
    ("Internal Traffic Policy", "internalTrafficPolicy"),
    ("Traffic Distribution", "trafficDistribution"),
    ("HealthCheck NodePort", "healthCheckNodePort"),
)
_NO_BALANCER = (
    "this version has no load balancer outside the nodes; each node answers what is sent to the address by it"
)


def describe_service(page: Page, service: Object, client: Client) -> None:
    """Write the page of a Service. Raises ControlError."""
    spec = service.get("spec", {})
    head(page, service)
    page.add("Selector", labels_text(spec.get("selector")))
    page.add("Type", spec.get("type", "ClusterIP"))
    if spec.get("ipFamilyPolicy"):
        page.add("IP Family Policy", spec["ipFamilyPolicy"])
        page.add("IP Families", ",".join(spec.get("ipFamilies") or ()) or NONE)
    page.add("IP", spec.get("clusterIP") or NONE)
    page.add("IPs", ",".join(spec.get("clusterIPs") or ()) or NONE)
    if spec.get("externalIPs"):
        page.add("External IPs", ",".join(spec["externalIPs"]))
    _balancer(page, spec, service.get("status") or {})
    if spec.get("externalName"):
        page.add("External Name", spec["externalName"])
    slices = _slices(client, service)
    for port in spec.get("ports") or ():
        _port(page, port, slices)
    page.add("Session Affinity", spec.get("sessionAffinity", "None"))
    for title, key in _POLICIES:
        if spec.get(key):
            page.add(title, spec[key])
    if spec.get("loadBalancerSourceRanges"):
        page.add("LoadBalancer Source Ranges", ",".join(spec["loadBalancerSourceRanges"]))
    waiting = sorted({address for _, address, ready in _endpoints(slices, None) if not ready})
    if waiting:
        page.add("Not Ready", ",".join(waiting))


def _balancer(page: Page, spec: Object, status: Object) -> None:
    """Add what is asked of a load balancer, what it gave, and what stands in its way."""
    if spec.get("loadBalancerIP"):
        page.add("Desired LoadBalancer IP", spec["loadBalancerIP"])
    ingress = status.get("loadBalancer", {}).get("ingress") or ()
    if ingress:
        page.add("LoadBalancer Ingress", ", ".join(map(_ingress, ingress)))
    if spec.get("type") != "LoadBalancer":
        return
    if spec.get("loadBalancerClass"):
        page.add("LoadBalancer Class", spec["loadBalancerClass"])
    elif ingress:
        page.add("LoadBalancer Note", _NO_BALANCER)
    for condition in status.get("conditions") or ():
        if condition["type"] == _PENDING:
            page.add("LoadBalancer Pending", condition.get("message", ""))


def _ingress(entry: Object) -> str:
    address = entry.get("ip") or entry.get("hostname", "")
    return f"{address} ({entry['ipMode']})" if entry.get("ipMode") else str(address)


def _slices(client: Client, service: Object) -> list[Object]:
    metadata = service["metadata"]
    params = ListParams(
        kind="EndpointSlice",
        namespace=metadata["namespace"],
        label_selector=f"{_SERVICE_NAME}={metadata['name']}",
    )
    return list_all(client, params).items


def _port(page: Page, port: Object, slices: Sequence[Object]) -> None:
    protocol, name = port.get("protocol", "TCP"), port.get("name") or "<unset>"
    page.add("Port", f"{name}  {port['port']}/{protocol}")
    page.add("TargetPort", f"{port.get('targetPort', port['port'])}/{protocol}")
    if port.get("nodePort"):
        page.add("NodePort", f"{name}  {port['nodePort']}/{protocol}")
    ready = [f"{address}:{number}" for number, address, is_ready in _endpoints(slices, port) if is_ready]
    page.add("Endpoints", ",".join(ready) or NONE)


def _endpoints(slices: Sequence[Object], port: Object | None) -> Iterator[tuple[int | None, str, bool]]:
    """Yield port number, address and readiness of the endpoints behind a port, or behind all of them."""
    for slice_ in slices:
        for own in slice_.get("ports") or ():
            if port is not None and own.get("name", "") != port.get("name", ""):
                continue
            for endpoint in slice_.get("endpoints") or ():
                ready = endpoint.get("conditions", {}).get("ready", True) is not False
                for address in endpoint.get("addresses") or ():
                    yield own.get("port"), address, ready
