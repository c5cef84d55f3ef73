"""nftables mode by what becomes of packets in the emulated kernel: each kind of Service, policy, protocol and source.

The expectations are those of kube-proxy's own flow tests (pkg/proxy/nftables/proxier_test.go, v1.35).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.bundle.inject import receive
from emulator.kernel.record import Record
from emulator.kube.proxy.settings import ProxySettings
from emulator.reachability.check import check_flows
from emulator.reachability.cluster import ClusterModel, NodeModel
from emulator.reachability.flow import Flow, first_packet
from emulator.reachability.node import make_node
from emulator.reachability.objects import ClusterObjects

from .nftables_cases import NODE, SETTINGS, endpoints, service, text

POD, NODE_IP, OTHER_NODE_IP, OUTSIDE = "10.0.0.2", "192.168.0.2", "192.168.1.2", "203.0.113.2"
SOURCES = {"pod": POD, "node": NODE_IP, "outside": OUTSIDE}
BALANCER = {"type": "LoadBalancer"}
Row = tuple[str, str, str]
"""Source ("pod", "node", "outside" or an address), "address:port[/protocol]", and what becomes of it.

That is REJECT, DROP, ACCEPT (not kube-proxy's business), or the last octets of the endpoints, with "masq" behind them.
"""


def ends(rows: Iterable[Row], *objects: Service | EndpointSlice, settings: ProxySettings = SETTINGS) -> list[Row]:
    """Return the rows as they come out."""
    rows = list(rows)
    cluster = ClusterModel({NODE.name: NodeModel(NODE.name, NODE.addresses, NODE.pod_cidr)}, settings=settings)
    services = tuple(each for each in objects if isinstance(each, Service))
    slices = tuple(each for each in objects if isinstance(each, EndpointSlice))
    results = check_flows(
        [_flow(*row[:2]) for row in rows], ["nftables"], cluster, NODE.name, ClusterObjects(services, slices, (), ())
    )
    return [
        (*row[:2], _end(result.verdict, result.endpoints, result.masquerade))
        for row, result in zip(rows, results, strict=True)
    ]


def _flow(source: str, destination: str) -> Flow:
    address, _, rest = destination.partition(":")
    port, _, protocol = rest.partition("/")
    return Flow(
        f"{source} to {destination}",
        int(IPv4Address(SOURCES.get(source, source))),
        int(IPv4Address(address)),
        int(port),
        protocol.upper() or "TCP",
    )


def _end(verdict: str, chosen: Sequence[str], masquerade: bool) -> str:
    if verdict != "DNAT":
        return verdict
    return " ".join([*(endpoint.removeprefix("10.180.") for endpoint in chosen), *(["masq"] if masquerade else [])])


def test_cluster_ips_ports_and_protocols() -> None:
    ports = [
        {"name": name, "port": port, "protocol": protocol}
        for name, port, protocol in (
            ("http", 80, "TCP"), ("https", 443, "TCP"), ("udp", 53, "UDP"), ("tcp", 53, "TCP"), ("sctp", 53, "SCTP"),
        )
    ]  # fmt: skip
    both = ("10.180.0.1@node-a", "10.180.2.1@node-b")
    objects = [
        service(1),
        endpoints(1, "10.180.0.1@node-a"),
        service(2, ports=ports),
        endpoints(2, *both, name="http"),
        endpoints(2, *both, name="https", port=8443),
        endpoints(2, *both, name="udp", port=53, protocol="UDP"),
        endpoints(2, *both, name="tcp", port=5353),
        endpoints(2, *both, name="sctp", port=53, protocol="SCTP"),
    ]
    rows = [
        ("pod", "172.30.0.41:80", "0.1:80"),
        ("10.180.0.1", "172.30.0.41:80", "0.1:80 masq"),  # hairpin
        ("pod", "172.30.0.42:80", "0.1:80 2.1:80"),
        ("pod", "172.30.0.42:443", "0.1:8443 2.1:8443"),
        ("pod", "172.30.0.42:53/tcp", "0.1:5353 2.1:5353"),
        ("pod", "172.30.0.42:53/udp", "0.1:53 2.1:53"),
        ("pod", "172.30.0.42:53/sctp", "0.1:53 2.1:53"),
        ("pod", "172.30.0.42:80/udp", "REJECT"),  # the port is TCP's only
        ("node", "172.30.0.42:80/udp", "REJECT"),
        ("pod", "172.30.0.41:443", "REJECT"),  # another Service's port
        ("pod", "172.30.0.50:80", "DROP"),  # no Service has the address
        ("node", "172.30.0.50:80", "DROP"),
        ("pod", "172.31.0.1:80", "ACCEPT"),
    ]
    assert ends(rows, *objects) == rows


def test_a_service_without_endpoints_rejects_wherever_it_is_asked() -> None:
    balancer = service(1, **BALANCER, externalIPs=["192.168.99.11"], node_port=3001, ingress=("1.2.3.4",))
    rows = [
        (source, destination, "REJECT")
        for source in SOURCES
        for destination in ("172.30.0.41:80", "192.168.99.11:80", "1.2.3.4:80", f"{NODE_IP}:3001")
    ]
    assert ends(rows, balancer) == rows


POLICIES = [
    service(1, **BALANCER, node_port=3001, ingress=("1.2.3.4",)),
    service(2, **BALANCER, node_port=3002, ingress=("5.6.7.8",), externalTrafficPolicy="Local"),
    service(3, **BALANCER, node_port=3003, ingress=("9.10.11.12",), internalTrafficPolicy="Local"),
    *(endpoints(n, f"10.180.0.{n}@node-a", f"10.180.1.{n}@node-b") for n in (1, 2, 3)),
]
BASE: list[Row] = [
    ("pod", "172.30.0.41:80", "0.1:80 1.1:80"),
    ("pod", f"{NODE_IP}:3001", "0.1:80 1.1:80 masq"),
    ("pod", "1.2.3.4:80", "0.1:80 1.1:80 masq"),
    ("node", "172.30.0.41:80", "0.1:80 1.1:80 masq"),
    ("node", f"{NODE_IP}:3001", "0.1:80 1.1:80 masq"),
    ("node", "1.2.3.4:80", "0.1:80 1.1:80 masq"),
    ("outside", "172.30.0.41:80", "0.1:80 1.1:80 masq"),
    ("outside", f"{NODE_IP}:3001", "0.1:80 1.1:80 masq"),
    ("outside", "1.2.3.4:80", "0.1:80 1.1:80 masq"),
    # External policy Local: nothing of it at the ClusterIP; pods and the node itself get all endpoints elsewhere too.
    ("pod", "172.30.0.42:80", "0.2:80 1.2:80"),
    ("pod", f"{NODE_IP}:3002", "0.2:80 1.2:80"),
    ("pod", "5.6.7.8:80", "0.2:80 1.2:80"),
    ("node", "172.30.0.42:80", "0.2:80 1.2:80 masq"),
    ("node", f"{NODE_IP}:3002", "0.2:80 1.2:80 masq"),
    ("node", "5.6.7.8:80", "0.2:80 1.2:80 masq"),
    ("outside", "172.30.0.42:80", "0.2:80 1.2:80 masq"),
    ("outside", f"{NODE_IP}:3002", "0.2:80"),
    ("outside", "5.6.7.8:80", "0.2:80"),
    # Internal policy Local: nothing of it anywhere but at the ClusterIP.
    ("pod", "172.30.0.43:80", "0.3:80"),
    ("pod", f"{NODE_IP}:3003", "0.3:80 1.3:80 masq"),
    ("pod", "9.10.11.12:80", "0.3:80 1.3:80 masq"),
    ("node", "172.30.0.43:80", "0.3:80 masq"),
    ("node", f"{NODE_IP}:3003", "0.3:80 1.3:80 masq"),
    ("node", "9.10.11.12:80", "0.3:80 1.3:80 masq"),
    ("outside", "172.30.0.43:80", "0.3:80 masq"),
    ("outside", f"{NODE_IP}:3003", "0.3:80 1.3:80 masq"),
    ("outside", "9.10.11.12:80", "0.3:80 1.3:80 masq"),
]
NO_DETECTOR = {
    **{(source, f"172.30.0.{40 + n}:80"): end for source in ("node", "outside") for n, end in
       ((1, "0.1:80 1.1:80"), (2, "0.2:80 1.2:80"), (3, "0.3:80"))},
    ("pod", f"{NODE_IP}:3002"): "0.2:80",
    ("pod", "5.6.7.8:80"): "0.2:80",
}  # fmt: skip
MASQUERADED_PODS = {
    ("pod", "172.30.0.41:80"): "0.1:80 1.1:80 masq",
    ("pod", "172.30.0.42:80"): "0.2:80 1.2:80 masq",
    ("pod", "172.30.0.43:80"): "0.3:80 masq",
}


@pytest.mark.parametrize(
    ("changes", "other"),
    [
        ({}, {}),
        ({"detect_local": False}, NO_DETECTOR),
        ({"masquerade_all": True}, MASQUERADED_PODS),
        (
            {"detect_local": False, "masquerade_all": True},
            {key: end for key, end in (NO_DETECTOR | MASQUERADED_PODS).items() if not key[1].startswith("172")
             or key[0] == "pod"},
        ),
    ],
    ids=["base", "no detector", "masquerade all", "both"],
)  # fmt: skip
def test_policies_and_masquerading(changes: dict[str, Any], other: dict[tuple[str, str], str]) -> None:
    rows = [(source, to, other.get((source, to), end)) for source, to, end in BASE]
    assert ends(rows, *POLICIES, settings=replace(SETTINGS, **changes)) == rows


def test_source_ranges() -> None:
    balancer = service(
        1, **BALANCER, node_port=3001, ingress=("1.2.3.4", "5.6.7.8"),
        loadBalancerSourceRanges=["192.168.0.0/24", " 203.0.113.0/25"],
    )  # fmt: skip
    rows: list[Row] = [
        ("pod", "172.30.0.41:80", "0.1:80"),
        ("outside", f"{NODE_IP}:3001", "0.1:80 masq"),
        ("203.0.113.130", f"{NODE_IP}:3001", "0.1:80 masq"),  # node ports have no ranges
    ]
    for address in ("1.2.3.4", "5.6.7.8"):
        rows += [
            ("outside", f"{address}:80", "0.1:80 masq"),
            ("203.0.113.130", f"{address}:80", "DROP"),
            ("pod", f"{address}:80", "DROP"),
            ("node", f"{address}:80", "0.1:80 masq"),
            (address, f"{address}:80", "0.1:80 masq"),  # the node, where the balancer's address is its own
        ]
    assert ends(rows, balancer, endpoints(1, "10.180.0.1")) == rows


@pytest.mark.parametrize(
    ("networks", "second"),
    [
        ((), "ACCEPT"),
        (("192.168.1.0/24", "192.168.0.0/24"), "0.1:80 2.1:80 masq"),
        (("0.0.0.0/0",), "0.1:80 2.1:80 masq"),
    ],
)
def test_which_addresses_take_node_ports(networks: tuple[str, ...], second: str) -> None:
    objects = [service(1, type="NodePort", node_port=3001), endpoints(1, "10.180.0.1", "10.180.2.1@node-a")]
    rows = [
        ("pod", "172.30.0.41:80", "0.1:80 2.1:80"),
        ("outside", f"{NODE_IP}:3001", "0.1:80 2.1:80 masq"),
        ("node", f"{NODE_IP}:3001", "0.1:80 2.1:80 masq"),
        ("outside", f"{OTHER_NODE_IP}:3001", second),
        ("node", "127.0.0.1:3001", "ACCEPT"),  # never in this mode
        ("outside", f"{NODE_IP}:3002", "ACCEPT"),
    ]
    assert ends(rows, *objects, settings=replace(SETTINGS, node_port_addresses=networks)) == rows


def test_endpoints_elsewhere_only() -> None:
    local = {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}
    balancer = service(1, **BALANCER, **local, node_port=3001, externalIPs=["192.168.99.11"], ingress=("1.2.3.4",))
    rows: list[Row] = [("pod", "172.30.0.41:80", "DROP"), ("node", "172.30.0.41:80", "DROP")]
    for address in ("1.2.3.4:80", "192.168.99.11:80", f"{NODE_IP}:3001"):
        rows += [
            ("pod", address, "1.1:80"),
            ("node", address, "1.1:80 masq"),
            ("outside", address, "DROP"),
        ]
    assert ends(rows, balancer, endpoints(1, "10.180.1.1@node-b")) == rows


def test_terminating_endpoints_serve_where_nothing_else_does() -> None:
    balancer = service(1, **BALANCER, externalTrafficPolicy="Local", ingress=("1.2.3.4",))
    rows = [("pod", "172.30.0.41:80", "1.5:80"), ("outside", "1.2.3.4:80", "0.2:80 0.3:80")]
    ready_elsewhere = endpoints(1, "10.180.0.2@node-a-", "10.180.0.3@node-a-", "10.180.1.5@node-b")
    assert ends(rows, balancer, ready_elsewhere) == rows
    rows = [("pod", "172.30.0.41:80", "1.5:80"), ("outside", "1.2.3.4:80", "DROP")]
    assert ends(rows, balancer, endpoints(1, "10.180.1.5@node-b-")) == rows


def test_a_client_keeps_to_its_endpoint_while_it_comes_back_in_time() -> None:
    """The time is the client's at an endpoint of the port, whatever the address; each connection begins it anew."""
    sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 100}}}
    objects = (service(1, **sticky, externalIPs=["9.9.9.9"]), endpoints(1, *(f"10.180.0.{n}" for n in range(1, 9))))
    node = make_node(NodeModel(NODE.name, NODE.addresses, NODE.pod_cidr), (), Random(7))
    node.netfilter.nft.load(text(*objects))

    def chosen(source: str, at: float, destination: str = "172.30.0.41:80") -> int:
        node.kernel.run(at)
        frame = first_packet(_flow(source, destination), next(ports), node.links["cbr0"].mac, 0x0200_0000_0009)
        record = Record()
        receive(node.links["cbr0"], frame, record)
        node.kernel.run(at)
        assert record.connection is not None
        return record.connection.reply.saddr

    ports = iter(range(40_000, 50_000))
    first = chosen("pod", 0.0)
    assert {chosen("pod", 90.0 * n, address) for n in range(1, 5) for address in ("172.30.0.41:80", "9.9.9.9:80")} == {
        first
    }
    assert len({chosen(f"10.0.1.{n}", 361.0) for n in range(1, 40)}) == 8  # others are spread
    later = {chosen("pod", 1000.0 * n) for n in range(1, 20)}
    assert len(later) > 1  # too late each time
