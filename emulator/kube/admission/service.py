"""What a Service is given when it is stored: its cluster IP, its node ports, its health check port.

Source: pkg/registry/core/service/storage/alloc.go, pkg/registry/core/service/portallocator.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from emulator.api.objects.meta import Object
from emulator.api.problem import quoted
from emulator.api.service_update import has_health_check
from emulator.kube.indexes import SERVICES_BY_ADDRESS, SERVICES_BY_NODE_PORT
from emulator.kube.ipam import NODE_PORTS, free_cluster_ip, free_node_port, parse_address
from emulator.kube.reconciler import Reader

_PORTED_TYPES = {"NodePort", "LoadBalancer"}


class ServiceAllocation:
    """Fills in one Service; what is wrong with it goes into `problems`."""

    def __init__(
        self, reader: Reader, service_cidr: IPv4Network, service: Object, old: Object | None, problems: list[str]
    ) -> None:
        self._reader = reader
        self._cidr = service_cidr
        self._service = service
        self._before: Object = old["spec"] if old else {}
        self._problems = problems
        self._spec = dict(service["spec"])

    def fill(self) -> Object:
        """Return the Service with its addresses and ports."""
        self._families()
        self._cluster_ip()
        self._node_ports()
        self._health_check()
        self._fixed_for_balancers()
        return self._service | {"spec": self._spec}

    @property
    def _name(self) -> str:
        return _name(self._service)

    def _holder(self, found: list[Object]) -> str:
        """Return the first of `found` that is another Service; empty if there is none."""
        return next((name for name in map(_name, found) if name != self._name), "")

    def _families(self) -> None:
        """A cluster of one family gives one address to those that prefer two, and refuses those that need two."""
        families = self._spec.get("ipFamilies") or ["IPv4"]
        if families[0] != "IPv4":
            self._problems.append(f'spec.ipFamilies[0]: Invalid value: "{families[0]}": not configured on this cluster')
        if self._spec.get("ipFamilyPolicy") == "RequireDualStack":
            self._problems.append(
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack '
                "services"
            )
        self._spec["ipFamilies"] = families[:1]

    def _cluster_ip(self) -> None:
        before = self._before.get("clusterIP", "")
        wanted = self._spec.get("clusterIP") or next(iter(self._spec.get("clusterIPs") or ()), "") or before
        if before and wanted != before:
            self._problems.append(
                f'spec.clusterIPs[0]: Invalid value: ["{wanted}"]: may not change once set (it is {before}); '
                "delete the Service and create it again"
            )
        elif not wanted:
            free = free_cluster_ip(
                self._cidr, self._name, lambda address: self._reader.count(SERVICES_BY_ADDRESS, str(address)) > 0
            )
            if free is None:
                self._problems.append(f"spec.clusterIP: no address is left in {self._cidr}; delete a Service first")
                return
            wanted = str(free)
        elif wanted not in ("None", before) and (problem := self._unfit(wanted)):
            self._problems.append(f'spec.clusterIPs: Invalid value: ["{wanted}"]: {problem}')
        self._spec["clusterIP"] = wanted
        self._spec["clusterIPs"] = [wanted]

    def _unfit(self, text: str) -> str:
        address = parse_address(text)
        if address is None or address not in self._cidr:
            return (
                f"failed to allocate IP {text}: the provided IP is not in the valid range. "
                f"The range of valid IPs is {self._cidr}"
            )
        if address in {self._cidr.network_address, self._cidr.broadcast_address}:
            return "the first and the last address of the range cannot be used"
        holder = self._holder([*self._reader.find(SERVICES_BY_ADDRESS, str(address))])
        return f"failed to allocate IP {text}: provided IP is already allocated (by Service {holder})" if holder else ""

    def _node_ports(self) -> None:
        """Give each port of a NodePort or LoadBalancer Service its node port.

        Ports of one number and several protocols (DNS) share one, if it is not asked for.
        """
        wants = self._spec.get("type") in _PORTED_TYPES and self._spec.get("allocateLoadBalancerNodePorts", True)
        before = {_identity(port): port.get("nodePort") for port in self._before.get("ports") or ()}
        given: dict[int, int] = {}
        ports = [dict(port) for port in self._spec.get("ports") or ()]
        for index, port in enumerate(ports):
            number = port.get("nodePort") or (before.get(_identity(port)) if wants else None)
            if number:
                self._check_node_port(f"spec.ports[{index}].nodePort", number)
                port["nodePort"] = number
                given.setdefault(port["port"], number)
        for index, port in enumerate(ports):
            if wants and not port.get("nodePort"):
                number = self._shared(ports, port, given) or self._free(f"{port.get('name', '')}:{port['port']}", ports)
                if number is None:
                    first, last = NODE_PORTS[0], NODE_PORTS[-1]
                    self._problems.append(
                        f"spec.ports[{index}].nodePort: no port is left in {first}-{last}; delete a Service first"
                    )
                    return
                port["nodePort"] = number
                given.setdefault(port["port"], number)
        if ports:
            self._spec["ports"] = ports

    def _shared(self, ports: list[Object], port: Object, given: dict[int, int]) -> int | None:
        """Return the node port of a port with the same number, if `port`'s protocol has not got it yet."""
        number = given.get(port["port"])
        taken = any(
            other.get("nodePort") == number and other.get("protocol") == port.get("protocol") for other in ports
        )
        return None if taken else number

    def _free(self, purpose: str, ports: list[Object]) -> int | None:
        own = {port.get("nodePort") for port in ports} | {self._spec.get("healthCheckNodePort")}
        return free_node_port(
            f"{self._name}:{purpose}",
            lambda number: number in own or self._reader.count(SERVICES_BY_NODE_PORT, number) > 0,
        )

    def _check_node_port(self, path: str, number: int) -> None:
        holder = self._holder([*self._reader.find(SERVICES_BY_NODE_PORT, number)])
        if holder:
            problem = f"provided port is already allocated (by Service {holder})"
        elif number not in NODE_PORTS:
            ends = f"{NODE_PORTS[0]}-{NODE_PORTS[-1]}"
            problem = f"provided port is not in the valid range. The range of valid ports is {ends}"
        else:
            return
        self._problems.append(f"{path}: Invalid value: {number}: {problem}")

    def _health_check(self) -> None:
        """A load balancer of policy Local asks each node whether it has endpoints, on a port of the Service's own."""
        if not has_health_check(self._spec):
            return
        number = self._spec.get("healthCheckNodePort") or self._before.get("healthCheckNodePort")
        if number:
            self._check_node_port("spec.healthCheckNodePort", number)
        else:
            number = self._free("health-check", self._spec.get("ports") or [])
        if number:
            self._spec["healthCheckNodePort"] = number

    def _fixed_for_balancers(self) -> None:
        """What load balancers were set up with stays as long as the Service is one's."""
        if {self._spec.get("type"), self._before.get("type")} != {"LoadBalancer"}:
            return
        fields = ["loadBalancerClass"]
        if has_health_check(self._before) and has_health_check(self._spec):
            fields.append("healthCheckNodePort")
        for field in fields:
            if self._spec.get(field) != self._before.get(field):
                value = self._spec.get(field)
                self._problems.append(
                    f"spec.{field}: Invalid value: {quoted(value)}: field is immutable (it is "
                    f"{quoted(self._before.get(field))}); delete the Service and create it again"
                )


def _identity(port: Object) -> tuple[str, int, str]:
    return (port.get("name", ""), port["port"], port.get("protocol", "TCP"))


def _name(service: Object) -> str:
    return f"{service['metadata'].get('namespace', '')}/{service['metadata']['name']}"
