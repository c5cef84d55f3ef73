"""Who is outside the nodes, and where."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from msgspec.structs import replace

from emulator.api.cloud_section import INTERNET, NODE, CloudConfig, HostConfig
from emulator.api.cluster_file import ClusterConfig
from emulator.cloud.plan import plan_hosts, plan_parts
from emulator.errors import PodwireError

CONFIG = ClusterConfig()


def planned(*hosts: HostConfig, internet: bool = True) -> dict[str, tuple[str, str]]:
    config = replace(CONFIG, cloud=CloudConfig(internet=internet, hosts=hosts))
    return {host.name: (host.network, str(host.address)) for host in plan_hosts(config)}


def test_the_internet_has_a_resolver_and_a_web_host() -> None:
    assert planned() == {"resolver": (INTERNET, "1.1.1.1"), "example.com": (INTERNET, "198.51.100.80")}
    parts = [(part.name, part.address) for part in plan_parts(CONFIG)]
    assert parts == [("node-network", ""), ("gateway", "172.18.0.1"), ("internet", "198.51.100.1")]


def test_hosts_get_addresses_that_nobody_asked_for() -> None:
    found = planned(
        HostConfig("a.test"),
        HostConfig("laptop", NODE),
        HostConfig("b.test", INTERNET, IPv4Address("198.51.100.100")),
        HostConfig("phone", NODE, IPv4Address("172.18.255.253")),
        HostConfig("tablet", NODE),
    )
    assert found["a.test"] == (INTERNET, "198.51.100.101")
    assert found["laptop"] == (NODE, "172.18.255.254")
    assert found["tablet"] == (NODE, "172.18.255.252")


def test_a_host_may_take_the_place_of_one_that_is_there_by_itself() -> None:
    found = planned(HostConfig("example.com", image="nginx"), HostConfig("resolver", INTERNET, IPv4Address("9.9.9.9")))
    assert found == {"resolver": (INTERNET, "9.9.9.9"), "example.com": (INTERNET, "198.51.100.80")}


def test_without_an_internet_there_are_the_users_hosts_only() -> None:
    assert planned(HostConfig("laptop", NODE), internet=False) == {"laptop": (NODE, "172.18.255.254")}
    assert planned(internet=False) == {}
    assert not CloudConfig(internet=False).exists


def test_addresses_that_are_used_up_are_told() -> None:
    config = replace(
        CONFIG,
        node_network=IPv4Network("172.18.0.0/30"),
        cloud=CloudConfig(hosts=(HostConfig("one", NODE), HostConfig("two", NODE))),
    )
    with pytest.raises(PodwireError, match="host two: no address is left"):
        plan_hosts(config)
