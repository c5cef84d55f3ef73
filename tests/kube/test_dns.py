from __future__ import annotations

from typing import Any

import pytest

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.pod import Pod
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.dns import ClusterZone, pod_hosts, pod_resolver
from emulator.packet.address import ipv4_to_int
from emulator.packet.dns_record import AAAA, CNAME, NS, PTR, SOA, SRV, TXT, A, Srv


def service(name: str, **spec: Any) -> Service:
    return view({"metadata": {"name": name, "namespace": "default"}, "spec": spec}, Service)


def slices(name: str, *endpoints: dict[str, Any]) -> EndpointSlice:
    return view(
        {
            "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "peer", "port": 7000, "protocol": "TCP"}],
            "endpoints": list(endpoints),
        },
        EndpointSlice,
    )


ZONE = ClusterZone(
    [
        service("web", clusterIP="10.96.0.20", ports=[{"name": "http", "port": 80}]),
        service("db", clusterIP="None", ports=[{"name": "peer", "port": 7000}]),
        service("out", type="ExternalName", externalName="web.default.svc.cluster.local"),
        service("far", type="ExternalName", externalName="example.org"),
    ],
    [
        slices(
            "db",
            {"addresses": ["10.244.0.5"], "hostname": "db-0"},
            {"addresses": ["10.244.1.6"], "hostname": "db-1", "conditions": {"ready": False}},
            {"addresses": ["10.244.1.7"]},
        )
    ],
)


def addresses(*texts: str) -> list[int]:
    return [ipv4_to_int(text) for text in texts]


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("web.default.svc.cluster.local.", A, addresses("10.96.0.20")),
        ("WEB.default.svc.cluster.LOCAL", A, addresses("10.96.0.20")),
        ("_http._tcp.web.default.svc.cluster.local.", SRV, [Srv(0, 100, 80, "web.default.svc.cluster.local.")]),
        ("20.0.96.10.in-addr.arpa.", PTR, ["web.default.svc.cluster.local."]),
        ("db.default.svc.cluster.local.", A, addresses("10.244.0.5", "10.244.1.7")),
        ("db-0.db.default.svc.cluster.local.", A, addresses("10.244.0.5")),
        ("10-244-1-7.db.default.svc.cluster.local.", A, addresses("10.244.1.7")),
        ("5.0.244.10.in-addr.arpa.", PTR, ["db-0.db.default.svc.cluster.local."]),
        ("10-244-3-9.default.pod.cluster.local.", A, addresses("10.244.3.9")),
        ("far.default.svc.cluster.local.", CNAME, ["example.org."]),
        ("far.default.svc.cluster.local.", A, ["example.org."]),
        ("out.default.svc.cluster.local.", A, ["web.default.svc.cluster.local.", *addresses("10.96.0.20")]),
    ],
)
def test_names_that_exist(name: str, kind: int, data: list[object]) -> None:
    answer = ZONE.lookup(name, kind)
    assert [record.data for record in answer.records] == data
    assert answer.exists
    assert answer.authoritative


@pytest.mark.parametrize(
    ("name", "kind", "exists"),
    [
        ("web.default.svc.cluster.local.", AAAA, True),
        ("default.svc.cluster.local.", A, True),
        ("svc.cluster.local.", A, True),
        ("_tcp.web.default.svc.cluster.local.", A, True),
        ("nope.default.svc.cluster.local.", A, False),
        ("web.other.svc.cluster.local.", A, False),
        ("db-1.db.default.svc.cluster.local.", A, False),
        ("nonsense.default.pod.cluster.local.", A, False),
    ],
)
def test_no_data_and_no_name_differ(name: str, kind: int, exists: bool) -> None:
    answer = ZONE.lookup(name, kind)
    assert answer.records == ()
    assert answer.exists is exists
    assert answer.authoritative


def test_names_outside_are_not_ours() -> None:
    assert not ZONE.lookup("example.org.", A).authoritative
    assert not ZONE.lookup("9.9.9.9.in-addr.arpa.", PTR).authoritative


def test_a_circle_of_external_names_ends() -> None:
    zone = ClusterZone(
        [service("a", type="ExternalName", externalName="a.default.svc.cluster.local")], [], "cluster.local"
    )
    assert len(zone.lookup("a.default.svc.cluster.local.", A).records) == 1


def test_a_circle_of_two_ends_too_and_says_each_once() -> None:
    zone = ClusterZone(
        [
            service("a", type="ExternalName", externalName="b.default.svc.cluster.local"),
            service("b", type="ExternalName", externalName="a.default.svc.cluster.local"),
        ],
        [],
    )
    answer = zone.lookup("a.default.svc.cluster.local.", A)
    assert [record.name.split(".")[0] for record in answer.records] == ["a", "b"]


def test_the_zone_tells_of_itself() -> None:
    (soa,) = ZONE.lookup("cluster.local.", SOA).records
    assert soa == ZONE.authority()
    assert [record.data for record in ZONE.lookup("cluster.local.", NS).records] == ["ns.dns.cluster.local."]
    assert [record.data for record in ZONE.lookup("dns-version.cluster.local.", TXT).records] == [(b"1.1.0",)]


def test_records_of_one_service_port_share_the_weight() -> None:
    endpoints = [{"addresses": [f"10.244.0.{number}"]} for number in (1, 2, 3)]
    zone = ClusterZone([service("db", clusterIP="None")], [slices("db", *endpoints)])
    records = zone.lookup("_peer._tcp.db.default.svc.cluster.local.", SRV).records
    assert [record.data.weight for record in records if isinstance(record.data, Srv)] == [33, 33, 33]


def test_single_endpoints_of_a_service_with_an_address_have_names() -> None:
    zone = ClusterZone(
        [service("web", clusterIP="10.96.0.20", ports=[{"port": 80}])],
        [slices("web", {"addresses": ["10.244.0.5"], "hostname": "web-0"}, {"addresses": ["10.244.0.6"]})],
    )
    for host, address in (("web-0", "10.244.0.5"), ("10-244-0-6", "10.244.0.6")):
        records = zone.lookup(f"{host}.web.default.svc.cluster.local.", A).records
        assert [record.data for record in records] == addresses(address)
    assert [record.data for record in zone.lookup("web.default.svc.cluster.local.", A).records] == addresses(
        "10.96.0.20"
    )


def pod(**spec: Any) -> Pod:
    return view({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": []} | spec}, Pod)


def test_cluster_first_resolver() -> None:
    resolver = pod_resolver(pod(), "10.96.0.10")
    assert str(resolver) == (
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert resolver.ndots == 5


def test_dns_policies() -> None:
    assert pod_resolver(pod(dnsPolicy="Default"), "10.96.0.10", ("172.18.0.1",)).nameservers == ("172.18.0.1",)
    assert pod_resolver(pod(hostNetwork=True), "10.96.0.10").nameservers == ()
    assert pod_resolver(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), "10.96.0.10").ndots == 5
    own = {"nameservers": ["9.9.9.9"], "searches": ["x.org"], "options": [{"name": "ndots", "value": "2"}]}
    resolver = pod_resolver(pod(dnsPolicy="None", dnsConfig=own), "10.96.0.10")
    assert (resolver.nameservers, resolver.search, resolver.ndots) == (("9.9.9.9",), ("x.org",), 2)


def test_hosts() -> None:
    hosts = pod_hosts(
        pod(hostname="db-0", subdomain="db", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x"]}]), "10.0.0.5"
    )
    assert hosts == {
        "localhost": "127.0.0.1",
        "x": "1.2.3.4",
        "db-0": "10.0.0.5",
        "db-0.db.shop.svc.cluster.local": "10.0.0.5",
    }
