"""The columns of Nodes, Namespaces, configuration and access."""

from __future__ import annotations

from emulator.api.ages import since
from emulator.api.messages import Object
from emulator.cli.columns.columns import NONE, Columns, age

_ROLE = "node-role.kubernetes.io/"


def node_status(node: Object) -> str:
    """Return `Ready`, `NotReady` or `Unknown`, with `,SchedulingDisabled` where it is cordoned."""
    conditions = node.get("status", {}).get("conditions") or ()
    ready = next((entry.get("status") for entry in conditions if entry.get("type") == "Ready"), None)
    word = {"True": "Ready", None: "Unknown"}.get(ready, "NotReady")
    return f"{word},SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else word


def node_roles(node: Object) -> str:
    """Return the roles that a node's labels give it."""
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    return ",".join(sorted(role for role in roles if role)) or NONE


def node_address(node: Object, kind: str) -> str:
    """Return a node's first address of a kind such as InternalIP."""
    addresses = node.get("status", {}).get("addresses") or ()
    return next((str(entry["address"]) for entry in addresses if entry.get("type") == kind), NONE)


def _node(node: Object, now: float) -> list[str]:
    info = node.get("status", {}).get("nodeInfo") or {}
    unknown = "<unknown>"
    return [
        node["metadata"]["name"],
        node_status(node),
        node_roles(node),
        age(node, now),
        info.get("kubeletVersion", ""),
        node_address(node, "InternalIP"),
        node_address(node, "ExternalIP"),
        info.get("osImage") or unknown,
        info.get("kernelVersion") or unknown,
        info.get("containerRuntimeVersion") or unknown,
    ]


def _namespace(obj: Object, now: float) -> list[str]:
    return [obj["metadata"]["name"], obj.get("status", {}).get("phase", "Active"), age(obj, now)]


def _config_map(obj: Object, now: float) -> list[str]:
    count = len(obj.get("data") or {}) + len(obj.get("binaryData") or {})
    return [obj["metadata"]["name"], str(count), age(obj, now)]


def _secret(obj: Object, now: float) -> list[str]:
    count = len({**(obj.get("data") or {}), **(obj.get("stringData") or {})})
    return [obj["metadata"]["name"], obj.get("type", "Opaque"), str(count), age(obj, now)]


def _service_account(obj: Object, now: float) -> list[str]:
    return [obj["metadata"]["name"], str(len(obj.get("secrets") or ())), age(obj, now)]


def _role(obj: Object, _now: float) -> list[str]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp", "")]


def _role_binding(obj: Object, now: float) -> list[str]:
    role = obj.get("roleRef", {})
    return [obj["metadata"]["name"], f"{role.get('kind', '')}/{role.get('name', '')}", age(obj, now)]


def _event(obj: Object, now: float) -> list[str]:
    involved = obj.get("involvedObject", {})
    seen = obj.get("lastTimestamp") or obj["metadata"].get("creationTimestamp")
    return [
        since(seen, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}",
        str(obj.get("message", "")).strip(),
    ]


NODE = Columns(
    ("NAME", "STATUS", "ROLES", "AGE", "VERSION"),
    ("INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"),
    _node,
)
NAMESPACE = Columns(("NAME", "STATUS", "AGE"), (), _namespace)
CONFIG_MAP = Columns(("NAME", "DATA", "AGE"), (), _config_map)
SECRET = Columns(("NAME", "TYPE", "DATA", "AGE"), (), _secret)
SERVICE_ACCOUNT = Columns(("NAME", "SECRETS", "AGE"), (), _service_account)
ROLE = Columns(("NAME", "CREATED AT"), (), _role)
ROLE_BINDING = Columns(("NAME", "ROLE", "AGE"), (), _role_binding)
EVENT = Columns(("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), (), _event)
