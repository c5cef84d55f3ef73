"""What only the server can fill in or refuse before an object is stored: defaults, addresses, ports, immutability.

Shapes and values were checked before (`emulator.api.validate`); here the rest of the cluster is looked at.
Source: pkg/apis/*/v1/defaults.go, pkg/registry/*/*/strategy.go, pkg/apis/*/validation (updates).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from types import MappingProxyType

from emulator.api.kinds import kind_of
from emulator.api.objects.meta import Object
from emulator.api.service_update import without_stale_fields
from emulator.kube.admission.defaults import with_defaults
from emulator.kube.admission.service import ServiceAllocation
from emulator.kube.indexes import NODES_BY_POD_NETWORK
from emulator.kube.proxy import configuration
from emulator.kube.proxy.configuration_text import ConfigurationError
from emulator.kube.proxy.modes import MODES
from emulator.kube.proxy.settings import ProxySettings
from emulator.kube.reconciler import AdmissionError, Reader

_IMMUTABLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Deployment": ("selector",),
        "ReplicaSet": ("selector",),
        "DaemonSet": ("selector",),
        "StatefulSet": ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    }
)
_POD_IMMUTABLE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "
    "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds` and `spec.tolerations` (only additions to existing "
    "tolerations); delete the Pod and create it again"
)


class ClusterAdmission:
    """Admits objects into one cluster, whose Services take their addresses from `service_cidr`."""

    def __init__(self, service_cidr: IPv4Network) -> None:
        self.service_cidr = service_cidr

    def admit(self, reader: Reader, new: Object, old: Object | None) -> Object:
        """Return the object to store. AdmissionError names what is wrong and where.

        A custom kind may share its name with one of Kubernetes' own, as Knative's Service does: nothing is filled in.
        """
        kind = kind_of(new.get("apiVersion", ""), new["kind"])
        if kind is not None and kind.custom:
            return new
        admitted = with_defaults(without_stale_fields(new, old) if old else new)
        problems = list(_changed_for_good(admitted, old) if old else ())
        if admitted["kind"] == "Service" and admitted["spec"].get("type") != "ExternalName":
            admitted = ServiceAllocation(reader, self.service_cidr, admitted, old, problems).fill()
        elif configuration.is_configuration(admitted):
            problems += _proxy_configuration(admitted)
        elif admitted["kind"] == "Node":
            problems += _pod_network(reader, admitted, old)
        if old is None:
            problems += _unknown_node(reader, admitted)
        if problems:
            raise AdmissionError(admitted["kind"], admitted["metadata"].get("name", ""), problems)
        return admitted


def _changed_for_good(new: Object, old: Object) -> Iterator[str]:
    for field in _IMMUTABLE.get(new["kind"], ()):
        if new["spec"].get(field) != old["spec"].get(field):
            yield f"spec.{field}: field is immutable; delete the {new['kind']} and create it again"
    if new["kind"] == "Pod" and _fixed_part(new["spec"], old["spec"]) != _fixed_part(old["spec"], old["spec"]):
        yield _POD_IMMUTABLE


def _fixed_part(spec: Object, old: Object) -> Object:
    """Return what of a pod's spec may not change; the node is chosen once, gates only go, tolerations only come."""
    fixed = {name: value for name, value in spec.items() if name not in ("activeDeadlineSeconds", "schedulingGates")}
    for name in ("containers", "initContainers"):
        if name in fixed:
            fixed[name] = [container | {"image": ""} for container in fixed[name]]
    if not old.get("nodeName"):
        fixed.pop("nodeName", None)
    given = spec.get("tolerations") or ()
    fixed["tolerations"] = [toleration for toleration in old.get("tolerations") or () if toleration in given]
    return fixed


def _proxy_configuration(obj: Object) -> Iterator[str]:
    """kube-proxy must be able to run with it: else nodes would go on as before and tell nobody but their logs."""
    mode = configuration.mode_of(obj)
    if mode not in MODES:
        known = ", ".join(f'"{each}"' for each in MODES)
        yield f'data[{configuration.KEY}]: mode: Unsupported value: "{mode}": supported values: {known}'
    try:
        configuration.settings_of(obj, ProxySettings())
    except ConfigurationError as error:
        yield from (f"data[{configuration.KEY}]: {problem}" for problem in error.problems)


def _pod_network(reader: Reader, node: Object, old: Object | None) -> Iterator[str]:
    """A node's pod CIDR is its own, and given once."""
    text = (node.get("spec") or {}).get("podCIDR")
    before = ((old or {}).get("spec") or {}).get("podCIDR")
    if before and text != before:
        yield 'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'
    if not text or text == before or ":" in text:
        return
    network = IPv4Network(text, strict=False)
    around = [network.supernet(new_prefix=length) for length in range(network.prefixlen)]
    values = [("within", network), ("is", network), *(("is", other) for other in around)]
    for other in (other for value in values for other in reader.find(NODES_BY_POD_NETWORK, value)):
        name = other["metadata"]["name"]
        if name != node["metadata"]["name"]:
            yield f'spec.podCIDR: Invalid value: "{text}": overlaps with {other["spec"]["podCIDR"]} of node {name}'
            return


def _unknown_node(reader: Reader, obj: Object) -> Iterator[str]:
    """A pod that names a node must name one that exists; Kubernetes would let it wait for ever."""
    path, spec = "spec", obj.get("spec") or {}
    if isinstance(spec.get("template"), dict):
        path, spec = "spec.template.spec", spec["template"].get("spec") or {}
    name = spec.get("nodeName")
    if name and reader.get("Node", "", name) is None:
        known = ", ".join(sorted(node["metadata"]["name"] for node in reader.list("Node"))) or "none"
        yield f'{path}.nodeName: there is no node "{name}"; the nodes are: {known}'
