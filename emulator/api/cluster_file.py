"""The cluster file (TOML) -> a frozen ClusterConfig: which machines there are, and from which networks they live.

What `emulator start` reads. Everything has a default; everything that is wrong is told at once, with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from emulator.api.checks import formats
from emulator.api.cloud_section import CLOUD_KEYS, NODE, CloudConfig, read_cloud
from emulator.api.networks import BALANCER_POOLS, balancer_pool, check_networks
from emulator.api.problem import Path as FieldPath
from emulator.api.problem import listed, printable, quoted
from emulator.api.toml.file import parse_toml, read_toml_text
from emulator.api.toml.reader import NOT_AVAILABLE, TomlReader
from emulator.errors import ManifestError

DEFAULT_NAME = "podwire"
POD_CIDR = IPv4Network("10.244.0.0/16")
SERVICE_CIDR = IPv4Network("10.96.0.0/12")
NODE_NETWORK = IPv4Network("172.18.0.0/16")
RESERVED_NODE_NAMES = frozenset({"cloud", "controller", "supervisor", "traffic"})
"""Names of the cluster's other processes; each process has a socket of its name."""

PROXY_MODES = ("iptables", "ipvs", "nftables")
CNIS = ("bridge", "routed", "vxlan", "aws-vpc")
AVAILABLE = frozenset({"iptables", "ipvs", "nftables", "bridge"})
"""What of the above this version has."""

LATER_SECTIONS = ("links",)
"""Sections of the file's contract that this version does not have."""


class NodeConfig(Struct, frozen=True):
    """One node: its name, and what its Node object gets as zone and labels."""

    name: str
    zone: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class ClusterConfig(Struct, frozen=True):
    """A cluster as its file describes it; `manifests` are paths that exist."""

    name: str = DEFAULT_NAME
    nodes: tuple[NodeConfig, ...] = (NodeConfig("node-1"),)
    pod_cidr: IPv4Network = POD_CIDR
    node_cidr_mask: int = 24
    service_cidr: IPv4Network = SERVICE_CIDR
    node_network: IPv4Network = NODE_NETWORK
    load_balancer_pool: IPv4Network = BALANCER_POOLS[0]
    """Where Services of type LoadBalancer get their addresses from; apart from the cluster's own networks."""
    cloud: CloudConfig = CloudConfig()
    proxy_mode: str = "iptables"
    cni: str = "bridge"
    seed: int = 0
    manifests: tuple[Path, ...] = ()
    app_path: tuple[Path, ...] = ()
    """Absolute directories in which `podwire/app` finds modules: of a file, its own unless it names others."""
    traffic: tuple[Path, ...] = ()
    """Traffic files that run as long as the cluster does."""
    source: str = ""
    """The file, as the user named it; empty for a configuration made by a program."""


_DEFAULTS = ClusterConfig()
CLUSTER_KEYS = (
    "name",
    "pod_cidr",
    "service_cidr",
    "node_cidr_mask",
    "node_network",
    "proxy_mode",
    "cni",
    "seed",
    "manifests",
    "app_path",
)
NODE_KEYS = ("name", "zone", "labels")
TRAFFIC_KEYS = ("files",)
SECTIONS = ("cluster", "nodes", "cloud", "traffic")


def read_cluster_file(path: str | Path) -> ClusterConfig:
    """Read a cluster file. Raises ManifestError with everything that is wrong with it."""
    text = read_toml_text(path, "cluster file")
    return parse_cluster_file(text, str(path), Path(path).parent)


def parse_cluster_file(text: str, source: str, directory: Path) -> ClusterConfig:
    """Parse the text of a cluster file; paths in it are relative to `directory`. Raises ManifestError."""
    document, lines = parse_toml(text, source)
    reader = _Reader(lines, source)
    config = reader.config(document, directory)
    if reader.problems or reader.others:
        raise ManifestError([*reader.sorted_problems(), *reader.others])
    return config


class _Reader(TomlReader):
    """Reads a cluster file."""

    def __init__(self, lines: Mapping[FieldPath, int], source: str) -> None:
        super().__init__(lines, source)
        self.others: list[str] = []  # problems of files that this one names

    def config(self, document: dict[str, Any], directory: Path) -> ClusterConfig:
        """Return the configuration of a whole document."""
        self.check_keys((), document, SECTIONS, later=LATER_SECTIONS)
        cluster = self.table(("cluster",), document.get("cluster", {}))
        self.check_keys(("cluster",), cluster, CLUSTER_KEYS)
        nodes = self._nodes(document.get("nodes", []))
        config = ClusterConfig(
            name=self.name(("cluster", "name"), cluster.get("name"), _default_name(self._source)),
            nodes=nodes,
            pod_cidr=self.network(("cluster", "pod_cidr"), cluster, _DEFAULTS.pod_cidr),
            node_cidr_mask=self._integer("node_cidr_mask", cluster, _DEFAULTS.node_cidr_mask),
            service_cidr=self.network(("cluster", "service_cidr"), cluster, _DEFAULTS.service_cidr),
            node_network=self.network(("cluster", "node_network"), cluster, _DEFAULTS.node_network),
            proxy_mode=self._choice("proxy_mode", cluster, _DEFAULTS.proxy_mode, PROXY_MODES),
            cni=self._choice("cni", cluster, _DEFAULTS.cni, CNIS),
            seed=self._integer("seed", cluster, _DEFAULTS.seed),
            app_path=tuple(self._app_path(cluster.get("app_path", ["."]), directory)),
            manifests=tuple(self._files(("cluster", "manifests"), cluster, directory, "web.yaml")),
            traffic=tuple(self._traffic(document.get("traffic", {}), directory)),
            source=self._source,
        )
        if config.seed < 0:
            self.problem(("cluster", "seed"), f"Invalid value: {config.seed}: must be greater than or equal to 0")
        networks = {name: getattr(config, name) for name in ("pod_cidr", "service_cidr", "node_network")}
        table = self.table(("cloud",), document.get("cloud", {}))
        self.check_keys(("cloud",), table, CLOUD_KEYS)
        pool = self._balancer_pool(table, networks)
        cloud = read_cloud(self, table, {**networks, "load_balancer_pool": pool})
        machines = len(nodes) + sum(host.network == NODE for host in cloud.hosts)
        for key, message in check_networks(networks, config.node_cidr_mask, len(nodes), machines):
            self.problem(("cluster", key), message)
        return replace(config, load_balancer_pool=pool, cloud=cloud)

    def _balancer_pool(self, cloud: Mapping[str, Any], networks: Mapping[str, IPv4Network]) -> IPv4Network:
        """Return the pool that is asked for, or the first of the defaults that lies apart from `networks`."""
        path = ("cloud", "load_balancer_pool")
        pool = balancer_pool(networks.values())
        if path[1] in cloud:
            pool = self.network(path, cloud, pool or _DEFAULTS.load_balancer_pool)
            for name, network in networks.items():
                if pool.overlaps(network):
                    self.problem(path, f"Invalid value: {pool}: overlaps with {name} {network}")
        elif pool is None:
            tried = ", ".join(map(str, BALANCER_POOLS))
            self.problem(path, f"Required value: the cluster's networks leave none of {tried} free; choose another")
        return pool or _DEFAULTS.load_balancer_pool

    def _integer(self, key: str, table: Mapping[str, Any], default: int) -> int:
        value = table.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.mistyped(("cluster", key), value, "an integer")
        return default

    def _choice(self, key: str, table: Mapping[str, Any], default: str, known: tuple[str, ...]) -> str:
        value = table.get(key, default)
        if value in AVAILABLE and value in known:
            return str(value)
        if isinstance(value, str) and value in known:
            self.problem(("cluster", key), f'"{value}" is {NOT_AVAILABLE}; use "{default}"')
        else:
            self.problem(
                ("cluster", key), f"Unsupported value: {quoted(value)}: supported values: {listed((default,))}"
            )
        return default

    def _nodes(self, value: Any) -> tuple[NodeConfig, ...]:
        if not isinstance(value, list):
            self.problem(("nodes",), "must be a list of tables: write [[nodes]]")
            return _DEFAULTS.nodes
        nodes: list[NodeConfig] = []
        first: dict[str, int] = {}
        for index, entry in enumerate(value):
            path: FieldPath = ("nodes", index)
            node = self._node(path, self.table(path, entry), f"node-{index + 1}")
            if node.name in first:
                self.problem((*path, "name"), f"Duplicate value: {quoted(node.name)}, as nodes[{first[node.name]}]")
            first.setdefault(node.name, index)
            nodes.append(node)
        return tuple(nodes) or _DEFAULTS.nodes

    def _node(self, path: FieldPath, table: dict[str, Any], default_name: str) -> NodeConfig:
        self.check_keys(path, table, NODE_KEYS)
        name = self.name((*path, "name"), table.get("name"), default_name)
        if name in RESERVED_NODE_NAMES:
            self.problem((*path, "name"), f"Invalid value: {quoted(name)}: another process of the cluster has it")
        zone = self.label_value((*path, "zone"), table.get("zone", ""))
        labels = {}
        for key, value in self.table((*path, "labels"), table.get("labels", {})).items():
            for problem in formats.qualified_name(key):
                self.problem((*path, "labels", key), f"Invalid value: {quoted(key)}: {problem}")
            labels[key] = self.label_value((*path, "labels", key), value)
        return NodeConfig(name, zone, labels)

    def _files(self, path: FieldPath, table: Mapping[str, Any], directory: Path, example: str) -> Iterable[Path]:
        value = table.get(str(path[-1]), [])
        if not isinstance(value, list):
            self.mistyped(path, value, f'a list of files, such as ["{example}"]')
            return
        for index, entry in enumerate(value):
            place = (*path, index)
            if not isinstance(entry, str) or not entry:
                self.mistyped(place, entry, "the name of a file")
            elif "\0" in entry or not (directory / entry).exists():
                self.problem(place, f"Invalid value: {quoted(entry)}: no such file in {printable(str(directory))}")
            else:
                yield directory / entry

    def _app_path(self, value: Any, directory: Path) -> Iterable[Path]:
        if not isinstance(value, list):
            self.mistyped(("cluster", "app_path"), value, 'a list of directories, such as ["apps"]')
            return
        for index, entry in enumerate(value):
            path = ("cluster", "app_path", index)
            if not isinstance(entry, str) or not entry:
                self.mistyped(path, entry, "the name of a directory")
            elif "\0" in entry or not (directory / entry).is_dir():
                self.problem(path, f"Invalid value: {quoted(entry)}: no such directory in {printable(str(directory))}")
            else:
                yield (directory / entry).resolve()

    def _traffic(self, value: Any, directory: Path) -> Iterable[Path]:
        """Read [traffic]; what is wrong in one of its files is told with the rest."""
        from emulator.api.traffic.file import read_traffic_file  # few clusters have traffic of their own

        table = self.table(("traffic",), value)
        self.check_keys(("traffic",), table, TRAFFIC_KEYS)
        for path in self._files(("traffic", "files"), table, directory, "load.toml"):
            try:
                read_traffic_file(path)
            except ManifestError as error:
                self.others += error.problems
            yield path.absolute()


def _default_name(source: str) -> str:
    """Return the file's own name, where it can be a cluster's."""
    stem = Path(source).stem.lower().replace("_", "-")
    return DEFAULT_NAME if formats.label_1123(stem) else stem
