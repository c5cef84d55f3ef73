"""`--cluster FILE`: a cluster file as `emulator start` takes it (TOML), or JSON that describes nodes and kube-proxy.

The JSON is an object; each key may be left out. Of a node, at the top level (the node that is asked for) or in `nodes`
(a list of nodes with names, or an object of nodes by name): `name`, `podCIDR`, `nodeIPs`, `labels`, `zone`,
`localDetector`. Of kube-proxy, at the top level: `clusterCIDR`, `masqueradeAll`, `masqueradeBit`, `nodePortAddresses`,
`localhostNodePorts`, `ipvsScheduler`, `serviceCIDRs`. Keys that are not known are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emulator.api.cluster_file import read_cluster_file
from emulator.api.objects.node import ZONE_LABEL
from emulator.api.problem import printable, quoted
from emulator.bundle.problem import Problems
from emulator.errors import ManifestError, WireError
from emulator.kube.proxy.settings import IPVS_SCHEDULERS, PRIMARY, ProxySettings
from emulator.packet.address import ipv4_to_int
from emulator.reachability.cluster import ClusterModel, NodeModel, of_config
from emulator.reachability.document import Reader, parse_json, read_bounded

_NODE_KEYS = ("name", "podCIDR", "nodeIPs", "labels", "zone", "localDetector")
_PROXY_KEYS = (
    "clusterCIDR",
    "masqueradeAll",
    "masqueradeBit",
    "nodePortAddresses",
    "localhostNodePorts",
    "ipvsScheduler",
    "serviceCIDRs",
    "nodes",
)
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "nodename": "name", "hostname": "name", "hostnameoverride": "name", "node": "name",
        "podcidrs": "podCIDR",
        "nodeip": "nodeIPs", "addresses": "nodeIPs", "internalip": "nodeIPs", "ips": "nodeIPs", "ip": "nodeIPs",
        "nodelabels": "labels",
        "detectlocal": "localDetector", "detectlocalmode": "localDetector",
        "clustercidrs": "clusterCIDR",
        "localhostnodeports": "localhostNodePorts",
        "iptablesmasqueradebit": "masqueradeBit",
        "scheduler": "ipvsScheduler", "servicecidr": "serviceCIDRs", "serviceclusteriprange": "serviceCIDRs",
    }
)  # fmt: skip
_NULLABLE = ("localDetector",)
_NONE = frozenset({"none", "noop", "off", "disabled", "false", ""})


def read_cluster(path: str) -> ClusterModel:
    """Read a cluster's description. Raises ManifestError with all that is wrong with it."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = read_bounded(stream, path, "this is no cluster's description")
    except OSError as error:
        raise ManifestError([f"{printable(path)}: cannot be read: {error.strerror or error}"]) from None
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and file.suffix != ".json":
        return of_config(read_cluster_file(path))
    return parse_cluster(data, path)


def parse_cluster(data: bytes | str, source: str) -> ClusterModel:
    """Read the JSON form. Raises ManifestError."""
    problems = Problems()
    model = _Reader(problems, f"{printable(source)}: ", _ALIASES).cluster(parse_json(data, source))
    if problems.found:
        raise ManifestError(problems.found)
    return model


class _Reader(Reader):
    """Reads the document; what is wrong is noted with its place, and reads as if it were not there."""

    def cluster(self, document: Any) -> ClusterModel:
        top = self.known(document, "$", (*_NODE_KEYS, *_PROXY_KEYS), _NULLABLE)
        cluster_cidr = self._cidr(top.get("clusterCIDR"), "$.clusterCIDR")
        unnamed = self._node(top, "$", cluster_cidr)
        nodes = {node.name: node for node in self._nodes(top.get("nodes"), cluster_cidr)}
        said = any(key in top for key in _NODE_KEYS)
        return ClusterModel(nodes, unnamed if said or not nodes else None, self._settings(top))

    def _nodes(self, value: Any, cluster_cidr: str | None) -> Iterator[NodeModel]:
        if value is None:
            return
        if isinstance(value, Mapping):
            value = [{"name": name, **entry} if isinstance(entry, Mapping) else entry for name, entry in value.items()]
        if not isinstance(value, list):
            self.wrong("$.nodes", "a list of nodes is wanted, or an object of nodes by name")
            return
        first: dict[str, int] = {}
        for number, entry in enumerate(value):
            path = f"$.nodes[{number}]"
            if isinstance(entry, str):
                entry = {"name": entry}
            node = self._node(self.known(entry, path, _NODE_KEYS, _NULLABLE), path, cluster_cidr)
            if not node.name:
                self.wrong(f"{path}.name", "missing")
            elif node.name in first:
                self.wrong(f"{path}.name", f"{node.name} is the name of $.nodes[{first[node.name]}] too")
            first.setdefault(node.name, number)
            yield node

    def _node(self, values: dict[str, Any], path: str, cluster_cidr: str | None) -> NodeModel:
        pod_cidr = self._cidr(values.get("podCIDR"), f"{path}.podCIDR")
        labels = self._labels(values, path)
        local = None
        if "localDetector" in values:
            local = self._detector(values["localDetector"], f"{path}.localDetector", pod_cidr, cluster_cidr)
        name = values.get("name", "")
        if not isinstance(name, str):
            self.wrong(f"{path}.name", f"a string is wanted, not {quoted(name)}")
            name = ""
        return NodeModel(name, self._addresses(values.get("nodeIPs"), f"{path}.nodeIPs"), pod_cidr, labels, local)

    def _labels(self, values: dict[str, Any], path: str) -> Mapping[str, str] | None:
        labels, zone = values.get("labels"), values.get("zone")
        if labels is not None and not (
            isinstance(labels, Mapping) and all(isinstance(label, str) for label in labels.values())
        ):
            self.wrong(f"{path}.labels", "an object of strings is wanted")
            labels = None
        if zone is None:
            return labels
        if not isinstance(zone, str):
            self.wrong(f"{path}.zone", f"a string is wanted, not {quoted(zone)}")
            return labels
        return {**(labels or {}), ZONE_LABEL: zone}

    def _words(self, value: Any, path: str) -> list[str] | None:
        """Return a list of strings; one string is a list of what stands between its commas."""
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",") if word.strip()]
        if value is None or (isinstance(value, list) and all(isinstance(word, str) for word in value)):
            return value
        self.wrong(path, "a list of strings is wanted")
        return None

    def _addresses(self, value: Any, path: str) -> tuple[str, ...] | None:
        """Return the IPv4 addresses among a node's; those of IPv6 are another proxier's."""
        words = self._words(value, path)
        if words is None:
            return None
        found = []
        for word in words:
            if ":" in word:
                continue
            try:
                ipv4_to_int(word)
                found.append(word)
            except WireError as error:
                self.wrong(path, str(error))
        return tuple(found)

    def _cidr(self, value: Any, path: str) -> str | None:
        """Return the first IPv4 network of one or several."""
        words = self._words(value, path)
        for word in words or ():
            if ":" in word:
                continue
            try:
                return str(IPv4Network(word, strict=False))
            except ValueError:
                self.wrong(path, f"{quoted(word)} is no network such as 10.244.0.0/24")
        return None

    def _detector(self, value: Any, path: str, pod_cidr: str | None, cluster_cidr: str | None) -> str | None:
        """Return the sources that count as pods of the node; None: its pod CIDR, as kube-proxy has it by default."""
        if isinstance(value, Mapping):
            words = {key.lower(): entry for key, entry in value.items()}
            given = next((words[key] for key in ("cidr", "clustercidr", "podcidr", "value") if words.get(key)), None)
            mode = next((words[key] for key in ("mode", "type", "kind", "detectlocalmode") if words.get(key)), "")
            return self._detector(given or mode, path, pod_cidr, cluster_cidr)
        if value is None or value is False or (isinstance(value, str) and value.lower() in _NONE):
            return ""
        if isinstance(value, str) and value.lower().startswith("cidr:"):
            value = value[len("cidr:") :]
        mode = value.lower().replace("_", "").replace("-", "") if isinstance(value, str) else value
        if mode is True or mode == "nodecidr":
            return pod_cidr
        if mode in ("clustercidr", "cidr", "bycidr", "detectlocalbycidr"):
            if cluster_cidr is None and pod_cidr is None:
                self.wrong(path, "ClusterCIDR needs $.clusterCIDR, the network of all pods")
            return cluster_cidr or pod_cidr
        if isinstance(mode, str) and "/" in mode:
            return self._cidr(value, path)
        self.wrong(path, f"{quoted(value)} is not known; NodeCIDR, ClusterCIDR, a network and none are")
        return None

    def _networks(self, value: Any, path: str, *others: str) -> tuple[str, ...]:
        """Return networks of either family, or one of `others`."""
        words = self._words(value, path) or ()
        for word in words:
            try:
                if word not in others:
                    ip_network(word, strict=False)
            except ValueError:
                self.wrong(path, f"{quoted(word)} is no network such as 10.96.0.0/12")
                return ()
        return tuple(words)

    def _settings(self, values: dict[str, Any]) -> ProxySettings:
        defaults = ProxySettings()
        return ProxySettings(
            masquerade_all=self._flag(values, "masqueradeAll", default=defaults.masquerade_all),
            masquerade_bit=self._bit(values, defaults.masquerade_bit),
            node_port_addresses=self._networks(values.get("nodePortAddresses"), "$.nodePortAddresses", PRIMARY),
            service_cidrs=self._networks(values.get("serviceCIDRs"), "$.serviceCIDRs"),
            ipvs_scheduler=self._scheduler(values, defaults.ipvs_scheduler),
            localhost_node_ports=self._flag(values, "localhostNodePorts", default=defaults.localhost_node_ports),
        )

    def _flag(self, values: dict[str, Any], name: str, *, default: bool) -> bool:
        value = values.get(name, default)
        if isinstance(value, bool):
            return value
        self.wrong(f"$.{name}", f"true or false is wanted, not {quoted(value)}")
        return default

    def _scheduler(self, values: dict[str, Any], default: str) -> str:
        value = values.get("ipvsScheduler", default)
        if value in IPVS_SCHEDULERS:
            return str(value)
        self.wrong("$.ipvsScheduler", f"{quoted(value)} is not one of {', '.join(IPVS_SCHEDULERS)}")
        return default

    def _bit(self, values: dict[str, Any], default: int) -> int:
        value = values.get("masqueradeBit", default)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 32:
            return value
        self.wrong("$.masqueradeBit", f"a number from 0 to 31 is wanted, not {quoted(value)}")
        return default
