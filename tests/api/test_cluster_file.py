"""The cluster file: defaults, and everything that is wrong at once, with lines."""

from __future__ import annotations

import json
import pickle
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from emulator.api import cluster_file, toml_file
from emulator.api.cluster_file import ClusterConfig, NodeConfig, parse_cluster_file, read_cluster_file
from emulator.api.manifest import read_manifests
from emulator.errors import ManifestError

CONFIGS = Path(__file__).parent.parent.parent / "configs"


def parse(text: str, directory: Path = CONFIGS) -> ClusterConfig:
    return parse_cluster_file(text, "x.toml", directory)


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        parse(text)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def test_everything_has_a_default() -> None:
    assert parse("") == ClusterConfig(name="x", app_path=(CONFIGS.resolve(),), source="x.toml")
    assert ClusterConfig().nodes == (NodeConfig("node-1"),)
    assert ClusterConfig().pod_cidr == IPv4Network("10.244.0.0/16")


def test_the_three_nodes() -> None:
    config = read_cluster_file(CONFIGS / "3node.toml")
    assert config.name == "3node"
    assert [(node.name, node.zone) for node in config.nodes] == [
        ("node-a", "zone-a"),
        ("node-b", "zone-b"),
        ("node-c", "zone-c"),
    ]
    assert len(read_manifests(config.manifests)) == 3


def test_the_fifty_nodes() -> None:
    config = read_cluster_file(CONFIGS / "50node.toml")
    assert len({node.name for node in config.nodes}) == 50


def test_configurations_can_be_handed_to_other_processes() -> None:
    config = parse('[[nodes]]\nname = "a"\nlabels = { disk = "ssd" }\n')
    assert pickle.loads(pickle.dumps(config)) == config
    assert config.nodes[0].labels == {"disk": "ssd"}


def test_the_editors_schema_knows_the_same_keys() -> None:
    schema = json.loads((CONFIGS / "cluster.schema.json").read_text())
    assert set(schema["properties"]) == set(cluster_file.SECTIONS)
    assert set(schema["properties"]["cluster"]["properties"]) == set(cluster_file.CLUSTER_KEYS)
    assert set(schema["properties"]["nodes"]["items"]["properties"]) == set(cluster_file.NODE_KEYS)
    for key, described in schema["properties"]["cluster"]["properties"].items():
        if key not in ("name", "manifests", "app_path"):
            assert str(getattr(ClusterConfig(), key)) == str(described["default"])


def test_the_app_path_is_absolute_and_relative_to_the_file() -> None:
    assert parse('[cluster]\napp_path = [".", "../docs"]\n').app_path == (CONFIGS, CONFIGS.parent / "docs")
    assert parse("[cluster]\napp_path = []\n").app_path == ()
    (first, second, third) = problems('[cluster]\napp_path = ["none", 1,\n"3node.toml"]\n')
    assert first == 'x.toml:2: cluster.app_path[0]: Invalid value: "none": no such directory in ' + str(CONFIGS)
    assert "must be the name of a directory" in second
    assert "no such directory" in third
    (problem,) = problems('[cluster]\napp_path = "apps"\n')
    assert problem.endswith('must be a list of directories, such as ["apps"]')


def test_all_problems_are_told_with_their_lines() -> None:
    text = """clutser = 1
[cluster]
nmae = "x"
pod_cidr = "10.244.0.1/16"
cni = "vxlan"
manifests = ["web.yaml", "nope.yaml"]
[links]
delay = 3
[[nodes]]
name = "a"
[[nodes]]
name = "a"
[nodes.labels]
x = 1
"""
    directory = CONFIGS
    assert problems(text) == (
        'x.toml:1: clutser: unknown key; did you mean "cluster"?',
        'x.toml:3: cluster.nmae: unknown key; did you mean "name"?',
        'x.toml:4: cluster.pod_cidr: Invalid value: "10.244.0.1/16": '
        "has bits of a host, or another form than usual; write 10.244.0.0/16",
        'x.toml:5: cluster.cni: "vxlan" is not available in this version; use "bridge"',
        f'x.toml:6: cluster.manifests[1]: Invalid value: "nope.yaml": no such file in {directory}',
        "x.toml:7: links: this section is not available in this version; take it out",
        'x.toml:12: nodes[1].name: Duplicate value: "a", as nodes[0]',
        "x.toml:14: nodes[1].labels.x: Invalid value: 1: must be a string",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[cluster]\nname = "A"', 'x.toml:2: cluster.name: Invalid value: "A": a lowercase RFC 1123 label'),
        ("[cluster]\nname = 3", "x.toml:2: cluster.name: Invalid value: 3: must be a string"),
        ('[cluster]\ncni = "vxlan"', 'x.toml:2: cluster.cni: "vxlan" is not available in this version; use "bridge"'),
        ('[cluster]\ncni = "iptables"', 'x.toml:2: cluster.cni: Unsupported value: "iptables"'),
        ('[cluster]\nproxy_mode = "x"', 'x.toml:2: cluster.proxy_mode: Unsupported value: "x": supported values'),
        ("[cluster]\nseed = -1", "x.toml:2: cluster.seed: Invalid value: -1"),
        ("[cluster]\nseed = true", "x.toml:2: cluster.seed: Invalid value: true: must be an integer"),
        ("[cluster]\nnode_cidr_mask = 15", "x.toml:2: cluster.node_cidr_mask: Invalid value: 15: must be between 16"),
        ("[cluster]\nnode_cidr_mask = 31", "x.toml:2: cluster.node_cidr_mask: Invalid value: 31: must be between 16"),
        ('[cluster]\npod_cidr = "x"', 'x.toml:2: cluster.pod_cidr: Invalid value: "x": must be a valid CIDR value'),
        ('[cluster]\npod_cidr = "fd00::/48"', "x.toml:2: cluster.pod_cidr: Invalid value"),
        ('[cluster]\npod_cidr = "127.0.0.0/8"', "x.toml:2: cluster.pod_cidr: Invalid value"),
        (
            '[cluster]\npod_cidr = "10.96.0.0/16"',
            "x.toml:1: cluster.service_cidr: Invalid value: 10.96.0.0/12: overlaps",
        ),
        ('[cluster]\npod_cidr = "10.0.0.0/24"\n[[nodes]]\n[[nodes]]', "x.toml:2: cluster.pod_cidr: Invalid value"),
        ('[cluster]\nservice_cidr = "10.96.0.0/30"', "x.toml:2: cluster.service_cidr: Invalid value"),
        ('[cluster]\nnode_network = "172.18.0.0/31"', "x.toml:2: cluster.node_network: Invalid value"),
        ("[cluster]\nmanifests = 3", "x.toml:2: cluster.manifests: Invalid value: 3: must be a list"),
        ("[cluster]\nmanifests = [3]", "x.toml:2: cluster.manifests[0]: Invalid value: 3"),
        ("cluster = 3", "x.toml:1: cluster: Invalid value: 3: must be a table"),
        ('[nodes]\nname = "a"', "x.toml:1: nodes: must be a list of tables: write [[nodes]]"),
        ('[[nodes]]\nname = "controller"', 'x.toml:2: nodes[0].name: Invalid value: "controller": another process'),
        ('[[nodes]]\nzone = "a b"', 'x.toml:2: nodes[0].zone: Invalid value: "a b": a valid label'),
        ("[[nodes]]\ncolour = 1", "x.toml:2: nodes[0].colour: unknown key; known are name, zone, labels"),
        ("[cloud]\npool = 1", "x.toml:2: cloud.pool: unknown key; known are load_balancer_pool"),
        (
            '[cloud]\nload_balancer_pool = "10.97.0.0/24"',
            "x.toml:2: cloud.load_balancer_pool: Invalid value: 10.97.0.0/24: overlaps with service_cidr 10.96.0.0/12",
        ),
        ("[links]", "x.toml:1: links: this section is not available in this version; take it out"),
        ("a = [", "x.toml: not valid TOML"),
        ("a = 1\na = 2", "x.toml: not valid TOML: Cannot overwrite a value"),
        (f"a = {'[' * 3000}", "x.toml: not valid TOML: nested too deep"),
        (f"a = {'9' * 5000}", "x.toml: not valid TOML"),
    ],
)
def test_problems(text: str, said: str) -> None:
    found = problems(text)
    assert any(problem.startswith(said) for problem in found), found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a = 1\nb = '\xff'\n", ":2: not UTF-8 (byte 0xff)"),
        (b"#" * (toml_file.MAX_BYTES + 1), ": larger than 1 MiB; this is no cluster file"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(data)
    with pytest.raises(ManifestError) as caught:
        read_cluster_file(path)
    assert caught.value.problems == (f"{path}{said}",)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: No such file or directory"):
        read_cluster_file(tmp_path / "nope.toml")


def test_names_come_from_the_file() -> None:
    assert parse_cluster_file("", "dir/My_Lab.toml", CONFIGS).name == "my-lab"
    assert parse_cluster_file("", "dir/_.toml", CONFIGS).name == cluster_file.DEFAULT_NAME


def test_load_balancers_have_a_pool_of_their_own() -> None:
    assert parse("").load_balancer_pool == IPv4Network("203.0.113.0/24")
    assert parse('[cluster]\nnode_network = "203.0.113.0/24"').load_balancer_pool == IPv4Network("198.51.100.0/24")
    assert parse('[cloud]\nload_balancer_pool = "100.64.0.0/16"').load_balancer_pool == IPv4Network("100.64.0.0/16")
    assert problems('[cluster]\npod_cidr = "192.0.0.0/2"\nnode_cidr_mask = 24') == (
        "x.toml: cloud.load_balancer_pool: Required value: the cluster's networks leave none of 203.0.113.0/24, "
        "198.51.100.0/24, 192.0.2.0/24, 198.18.0.0/24 free; choose another",
    )
