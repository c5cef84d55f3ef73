"""The cluster file: defaults, and everything that is wrong at once, with lines."""

from __future__ import annotations

import json
import pickle
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from emulator.api import cloud_section, cluster_file
from emulator.api.cloud_section import INTERNET, NODE, CloudConfig, HostConfig
from emulator.api.cluster_file import ClusterConfig, NodeConfig, parse_cluster_file, read_cluster_file
from emulator.api.manifest import read_manifests
from emulator.api.toml import file as toml_file
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
    cloud = schema["properties"]["cloud"]["properties"]
    assert set(cloud) == set(cloud_section.CLOUD_KEYS)
    assert set(cloud["hosts"]["items"]["properties"]) == set(cloud_section.HOST_KEYS)
    assert cloud["resolver"]["default"] == str(CloudConfig().resolver)
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


def test_hosts_outside_the_nodes() -> None:
    cloud = parse(
        """[cloud]
resolver = "9.9.9.9"
[[cloud.hosts]]
name = "laptop"
network = "node"
address = "172.18.0.200"
[[cloud.hosts]]
name = "shop.example.org"
image = "nginx"
args = ["-text", "hello"]
ports = [80, "53/udp", "443/tcp"]
"""
    ).cloud
    assert (cloud.internet, cloud.resolver, cloud.nameservers) == (True, IPv4Address("9.9.9.9"), ("9.9.9.9",))
    assert cloud.hosts == (
        HostConfig("laptop", NODE, IPv4Address("172.18.0.200")),
        HostConfig(
            "shop.example.org", INTERNET, None, "nginx", ("-text", "hello"), (("TCP", 80), ("UDP", 53), ("TCP", 443))
        ),
    )
    alone = parse('[cloud]\ninternet = false\n[[cloud.hosts]]\nname = "laptop"').cloud
    assert (alone.hosts[0].network, alone.nameservers) == (NODE, ())


def test_the_internet_keeps_apart_from_the_cluster() -> None:
    cloud = parse('[cluster]\nnode_network = "198.51.100.0/24"\npod_cidr = "1.0.0.0/16"\nnode_cidr_mask = 24').cloud
    assert cloud.network == IPv4Network("192.0.2.0/24")
    cloud = parse('[cluster]\npod_cidr = "1.1.0.0/16"').cloud
    assert cloud.resolver == IPv4Address("198.51.100.53")


def test_all_that_is_wrong_with_hosts_is_told() -> None:
    found = problems(
        """[cloud]
internet = "yes"
resolver = "10.244.0.1"
[[cloud.hosts]]
network = "moon"
[[cloud.hosts]]
name = "gateway"
address = "172.18.0.1"
network = "node"
[[cloud.hosts]]
name = "a_b"
address = "172.18.0.9"
ports = [0, "53/sctp", true]
[[cloud.hosts]]
name = "a.test"
network = "node"
address = "10.0.0.1"
args = "-x"
[[cloud.hosts]]
name = "a.test"
adress = "10.0.0.1"
address = 7
image = 1
[[cloud.hosts]]
name = "b.test"
address = "198.51.100.2"
[[cloud.hosts]]
name = "c.test"
network = "node"
address = "172.18.255.255"
[[cloud.hosts]]
name = "d.test"
address = "127.0.0.1"
"""
    )
    assert [problem.removeprefix("x.toml:")[:100] for problem in found] == [
        '2: cloud.internet: Invalid value: "yes": must be true or false',
        "3: cloud.resolver: Invalid value: 10.244.0.1: is in pod_cidr 10.244.0.0/16; the internet is apart fr",
        "4: cloud.hosts[0].name: Required value: what exec, trace and the internet's resolver know the host b",
        '5: cloud.hosts[0].network: Unsupported value: "moon": supported values: "internet", "node"',
        '7: cloud.hosts[1].name: Invalid value: "gateway": a part of the cloud has this name',
        "8: cloud.hosts[1].address: Invalid value: 172.18.0.1: the gateway has it",
        '11: cloud.hosts[2].name: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist of lower ',
        "12: cloud.hosts[2].address: Invalid value: 172.18.0.9: is in node_network 172.18.0.0/16; the interne",
        '13: cloud.hosts[2].ports[0]: Invalid value: 0: must be a port of 1 to 65535, such as 80 or "53/udp"',
        '13: cloud.hosts[2].ports[1]: Invalid value: "53/sctp": must be a port of 1 to 65535, such as 80 or "',
        '13: cloud.hosts[2].ports[2]: Invalid value: true: must be a port of 1 to 65535, such as 80 or "53/ud',
        "17: cloud.hosts[3].address: Invalid value: 10.0.0.1: must be in node_network 172.18.0.0/16",
        '18: cloud.hosts[3].args: Invalid value: "-x": must be a list of words, such as ["-text", "hello"]',
        '20: cloud.hosts[4].name: Duplicate value: "a.test", as cloud.hosts[3]',
        '21: cloud.hosts[4].adress: unknown key; did you mean "address"?',
        '22: cloud.hosts[4].address: Invalid value: 7: must be an IPv4 address in quotes, such as "192.0.2.7"',
        "23: cloud.hosts[4].image: Invalid value: 1: must be a string",
        "26: cloud.hosts[5].address: Invalid value: 198.51.100.2: the gateway has it",
        "30: cloud.hosts[6].address: Invalid value: 172.18.255.255: must be a host's address in node_network ",
        "33: cloud.hosts[7].address: Invalid value: 127.0.0.1: must be a host's address that routers forward ",
    ]
    assert problems('[cloud]\ninternet = false\n[[cloud.hosts]]\nname = "a"\nnetwork = "internet"') == (
        'x.toml:5: cloud.hosts[0].network: Invalid value: "internet": there is none, since cloud.internet is false',
    )
    assert problems("[cloud]\nhosts = 1") == ("x.toml:2: cloud.hosts: must be a list of tables: write [[cloud.hosts]]",)
