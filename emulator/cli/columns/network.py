"""The columns of Services, EndpointSlices and what stands around them."""

from __future__ import annotations

from emulator.api.messages import Object
from emulator.cli.columns.columns import NONE, UNSET, Columns, age, labels_text, selector_text, with_more

_BALANCER_WIDTH = 16


def service_ports(spec: Object) -> str:
    """Return `80:30080/TCP,53/UDP`."""
    texts = []
    for port in spec.get("ports") or ():
        number = f"{port['port']}:{port['nodePort']}" if port.get("nodePort") else f"{port['port']}"
        texts.append(f"{number}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or NONE


def external_address(service: Object, *, wide: bool = False) -> str:
    """Return where a Service answers from outside (`getServiceExternalIP` in printers.go)."""
    spec = service.get("spec", {})
    kind, external = spec.get("type", "ClusterIP"), ",".join(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return external or NONE
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    balancers = ",".join(sorted({entry.get("ip") or entry.get("hostname", "") for entry in ingress}))
    if not wide and len(balancers) > _BALANCER_WIDTH:
        balancers = f"{balancers[: _BALANCER_WIDTH - 3]}..."
    return ",".join(part for part in (balancers, external) if part) or "<pending>"


def _service(service: Object, now: float) -> list[str]:
    spec = service.get("spec", {})
    return [
        service["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or NONE,
        external_address(service),
        service_ports(spec),
        age(service, now),
        labels_text(spec.get("selector")),
    ]


def _endpoint_slice(slice_: Object, now: float) -> list[str]:
    ports = with_more(str(port.get("port", "*")) for port in slice_.get("ports") or ())
    addresses = [address for endpoint in slice_.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    name = slice_["metadata"]["name"]
    return [name, slice_.get("addressType", "IPv4"), ports, with_more(addresses), age(slice_, now)]


def _endpoints(endpoints: Object, now: float) -> list[str]:
    texts = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    shown = with_more(texts)
    return [endpoints["metadata"]["name"], NONE if shown == UNSET else shown, age(endpoints, now)]


def _ingress(ingress: Object, now: float) -> list[str]:
    spec = ingress.get("spec", {})
    hosts = [rule.get("host") or "*" for rule in spec.get("rules") or ()]
    balancers = ingress.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return [
        ingress["metadata"]["name"],
        spec.get("ingressClassName") or NONE,
        with_more(hosts) if hosts else "*",
        ",".join(entry.get("ip") or entry.get("hostname", "") for entry in balancers),
        "80, 443" if spec.get("tls") else "80",
        age(ingress, now),
    ]


def _network_policy(policy: Object, now: float) -> list[str]:
    return [policy["metadata"]["name"], selector_text(policy.get("spec", {}).get("podSelector")), age(policy, now)]


SERVICE = Columns(("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"), ("SELECTOR",), _service)
ENDPOINT_SLICE = Columns(("NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"), (), _endpoint_slice)
ENDPOINTS = Columns(("NAME", "ENDPOINTS", "AGE"), (), _endpoints)
INGRESS = Columns(("NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"), (), _ingress)
NETWORK_POLICY = Columns(("NAME", "POD-SELECTOR", "AGE"), (), _network_policy)
