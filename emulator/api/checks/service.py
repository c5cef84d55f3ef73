"""Services and EndpointSlices: ports, virtual addresses, and which fields go with which type."""

from __future__ import annotations

from emulator.api.checks import formats
from emulator.api.checks.metadata import check_labels
from emulator.api.problem import Cursor, printable

NODE_PORTS = range(30000, 32768)
AFFINITY_SECONDS = range(1, 86401)


def check_service(service: Cursor) -> None:
    """Check a Service."""
    spec = service.get("spec")
    service_type = printable(spec.get("type").text or "ClusterIP")
    check_labels(spec.get("selector"))
    _check_ports(spec, service_type)
    _check_cluster_ip(spec, service_type)
    _check_external(spec, service_type)
    timeout = spec.get("sessionAffinityConfig", "clientIP", "timeoutSeconds")
    if timeout.number is not None and timeout.number not in AFFINITY_SECONDS:
        timeout.invalid(f"must be greater than 0 and less than {AFFINITY_SECONDS[-1]}")


def _check_ports(spec: Cursor, service_type: str) -> None:
    ports = spec.get("ports")
    if not ports.given and service_type != "ExternalName" and spec.get("clusterIP").text != "None":
        ports.required()
    count = len(ports.value) if isinstance(ports.value, list) else 0
    names: set[str] = set()
    numbers: set[object] = set()
    node_ports: set[object] = set()
    for port in ports:
        _check_port_name(port.get("name"), names, needed=count > 1)
        number = port.get("port")
        protocol = port.get("protocol").text or "TCP"
        for problem in formats.port_number(number.number) if number.number is not None else ():
            number.invalid(problem)
        if number.number is not None and (number.number, protocol) in numbers:
            port.duplicate()
        numbers.add((number.number, protocol))
        _check_target_port(port.get("targetPort"))
        _check_node_port(port.get("nodePort"), service_type, protocol, node_ports)


def _check_port_name(name: Cursor, seen: set[str], *, needed: bool) -> None:
    if not name.given:
        if needed:
            name.required()
        return
    if name.text is None:
        return
    for problem in formats.label_1123(name.text):
        name.invalid(problem)
    if name.text in seen:
        name.duplicate()
    seen.add(name.text)


def _check_target_port(target: Cursor) -> None:
    if target.number is not None:
        for problem in formats.port_number(target.number):
            target.invalid(problem)
    elif target.text is not None:
        for problem in formats.port_name(target.text):
            target.invalid(problem)


def _check_node_port(port: Cursor, service_type: str, protocol: str, seen: set[object]) -> None:
    if not port.number:
        return
    if service_type in ("ClusterIP", "ExternalName"):
        port.forbidden(f"may not be used when `type` is '{service_type}'")
    elif port.number not in NODE_PORTS:
        ends = f"{NODE_PORTS[0]}-{NODE_PORTS[-1]}"
        port.invalid(f"provided port is not in the valid range. The range of valid ports is {ends}")
    elif (port.number, protocol) in seen:
        port.duplicate()
    seen.add((port.number, protocol))


def _check_cluster_ip(spec: Cursor, service_type: str) -> None:
    cluster_ip = spec.get("clusterIP")
    cluster_ips = spec.get("clusterIPs")
    if service_type == "ExternalName":
        for field in (cluster_ip, cluster_ips):
            if field.given and field.text != "None":
                field.forbidden("may not be set when `type` is 'ExternalName'")
        return
    if cluster_ip.text == "None" and service_type != "ClusterIP":
        cluster_ip.invalid(f"may not be set to 'None' for {service_type} services")
    elif cluster_ip.text not in (None, "", "None"):
        for problem in formats.ip_address(cluster_ip.text or ""):
            cluster_ip.invalid(problem)
    for index, address in enumerate(cluster_ips):
        if index == 0 and cluster_ip.text and address.text != cluster_ip.text:
            cluster_ips.invalid("element [0] must match clusterIP")
        elif address.text not in (None, "None"):
            for problem in formats.ip_address(address.text or ""):
                address.invalid(problem)


def _check_external(spec: Cursor, service_type: str) -> None:
    name = spec.get("externalName")
    if service_type == "ExternalName":
        if not name.given:
            name.required()
        for problem in formats.subdomain_1123(name.text.removesuffix(".")) if name.text else ():
            name.invalid(problem)
    for address in spec.get("externalIPs"):
        for problem in formats.endpoint_address(address.text) if address.text is not None else ():
            address.invalid(problem)
    address = spec.get("loadBalancerIP")
    for problem in formats.ip_address(address.text) if address.text else ():
        address.invalid(problem)
    ranges = spec.get("loadBalancerSourceRanges")
    if ranges.given and service_type in ("ClusterIP", "ExternalName", "NodePort"):
        ranges.forbidden("may only be used when `type` is 'LoadBalancer'")
    for source in ranges:
        for problem in formats.cidr(source.text.strip()) if source.text is not None else ():
            source.invalid(problem)
    _check_balancer(spec, service_type)
    policy = spec.get("externalTrafficPolicy")
    inside = service_type in ("ClusterIP", "ExternalName") and not spec.get("externalIPs").given
    if policy.given and inside:
        policy.invalid("may only be set for externally-accessible services")


def _check_balancer(spec: Cursor, service_type: str) -> None:
    """Check what only a Service of type LoadBalancer may have."""
    for field in ("loadBalancerClass", "allocateLoadBalancerNodePorts"):
        if spec.get(field).given and service_type != "LoadBalancer":
            spec.get(field).forbidden("may only be used when `type` is 'LoadBalancer'")
    name = spec.get("loadBalancerClass")
    for problem in formats.qualified_name(name.text) if name.text else ():
        name.invalid(problem)
    port = spec.get("healthCheckNodePort")
    local = spec.get("externalTrafficPolicy").text == "Local"
    if port.number and not (service_type == "LoadBalancer" and local):
        port.invalid("may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")


def check_endpoint_slice(endpoint_slice: Cursor) -> None:
    """Check an EndpointSlice."""
    address_type = endpoint_slice.get("addressType").text
    for endpoint in endpoint_slice.get("endpoints"):
        addresses = endpoint.get("addresses")
        if not addresses.given:
            addresses.required("must contain at least 1 address")
        for address in addresses:
            if address.text is not None:
                _check_endpoint_address(address, address.text, address_type)
    names: set[str] = set()
    for port in endpoint_slice.get("ports"):
        name = port.get("name")
        if (name.text or "") in names:
            name.duplicate()
        names.add(name.text or "")
        number = port.get("port")
        for problem in formats.port_number(number.number) if number.number is not None else ():
            number.invalid(problem)


def _check_endpoint_address(address: Cursor, text: str, address_type: str | None) -> None:
    if address_type == "FQDN":
        problems = formats.subdomain_1123(text)
    else:
        problems = formats.endpoint_address(text)
        if not problems and address_type in ("IPv4", "IPv6") and (":" in text) != (address_type == "IPv6"):
            problems = [f"must be an {address_type} address"]
    for problem in problems:
        address.invalid(problem)
