from ipaddress import IPv4Address

import msgspec
import pytest

from emulator.kube.proxy.conntrack import UdpFrontends
from emulator.kube.proxy.service_port import Endpoint, ServicePort, ServicePortName

NAME = ServicePortName("default", "dns", "dns", "UDP")
PORT = ServicePort(
    name=NAME,
    cluster_ip="10.96.0.10",
    port=53,
    node_port=30053,
    external_ips=("192.0.2.1",),
    load_balancer_ips=("198.51.100.1",),
    source_ranges=(),
    affinity_seconds=0,
    internal_local=True,
    external_local=True,
    health_check_node_port=0,
)
ENDPOINTS = (
    Endpoint("10.0.0.1", 5353, node_name="elsewhere"),
    Endpoint("10.0.0.2", 5353, ready=False, serving=True, terminating=True),
    Endpoint("10.0.0.3", 5353, ready=False, serving=False, terminating=True),
)


def udp_frontends(ports, endpoints) -> UdpFrontends:
    frontends = UdpFrontends()
    for name, port in ports.items():
        frontends.put(name, port, endpoints.get(name, ()))
    return frontends


def number(text: str) -> int:
    return int(IPv4Address(text))


@pytest.mark.parametrize(
    ("address", "port", "backend", "stale"),
    [
        pytest.param("10.96.0.10", 53, "10.0.0.1", False, id="serves, whatever the policy says of its node"),
        pytest.param("10.96.0.10", 53, "10.0.0.2", False, id="still serves"),
        pytest.param("10.96.0.10", 53, "10.0.0.3", True, id="serves no more"),
        pytest.param("10.96.0.10", 53, "10.96.0.10", True, id="from before there were rules: never translated"),
        pytest.param("192.0.2.1", 53, "10.0.0.9", True, id="external address"),
        pytest.param("198.51.100.1", 53, "10.0.0.9", True, id="load balancer"),
        pytest.param("172.18.0.2", 30053, "10.0.0.9", True, id="node port at any address"),
        pytest.param("172.18.0.2", 30053, "10.0.0.1", False, id="node port to one that serves"),
        pytest.param("10.96.0.10", 54, "10.0.0.9", False, id="another port of the address"),
        pytest.param("10.0.0.9", 53, "10.0.0.9", False, id="the pod itself"),
    ],
)
def test_stale_entries(address: str, port: int, backend: str, stale: bool) -> None:
    frontends = udp_frontends({NAME: PORT}, {NAME: ENDPOINTS})
    assert frontends.is_stale(number(address), port, number(backend)) is stale


def test_all_entries_of_a_service_without_endpoints_are_stale() -> None:
    frontends = udp_frontends({NAME: PORT}, {})
    assert frontends.is_stale(number("10.96.0.10"), 53, number("10.0.0.1"))


def test_what_changed_is_judged_by_what_it_is_now():
    frontends = udp_frontends({NAME: PORT}, {NAME: ENDPOINTS})
    other = msgspec.structs.replace(NAME, name="other")
    frontends.put(other, msgspec.structs.replace(PORT, name=other, cluster_ip="10.96.0.11"), (Endpoint("10.0.0.8", 1),))
    assert not frontends.is_stale(number("192.0.2.1"), 53, number("10.0.0.8"))  # both have this external address
    assert frontends.is_stale(number("10.96.0.10"), 53, number("10.0.0.8"))
    frontends.put(other, None, ())
    assert frontends.is_stale(number("192.0.2.1"), 53, number("10.0.0.8"))
    frontends.put(NAME, msgspec.structs.replace(PORT, node_port=0), ())
    assert frontends.is_stale(number("10.96.0.10"), 53, number("10.0.0.1"))
    assert not frontends.is_stale(number("172.18.0.2"), 30053, number("10.0.0.9"))
    frontends.put(NAME, None, ())
    assert not frontends.is_stale(number("10.96.0.10"), 53, number("10.0.0.1"))
