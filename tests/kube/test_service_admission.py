"""What Services are given: addresses and node ports, each once in the cluster."""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Any

import pytest

from emulator.api.objects.meta import Object
from emulator.api.store.apply import apply
from emulator.api.store.store import Store
from emulator.kube.admission.admission import ClusterAdmission
from emulator.kube.ipam import NODE_PORTS
from emulator.kube.reconciler import AdmissionError

from .harness import Cluster, service


def admitted(**spec: Any) -> Object:
    return Cluster().put(service(**spec))["spec"]


def test_ports_of_one_number_and_two_protocols_share_a_node_port() -> None:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153},
    ]
    first, second, third = (port["nodePort"] for port in admitted(type="NodePort", ports=ports)["ports"])
    assert first == second != third


def test_a_node_port_that_is_asked_for_is_not_shared_by_itself() -> None:
    ports = [{"name": "a", "port": 53, "protocol": "UDP", "nodePort": 30053}, {"name": "b", "port": 54}]
    assert admitted(type="NodePort", ports=ports)["ports"][1]["nodePort"] != 30053


def test_a_node_port_is_one_services_whatever_the_protocol() -> None:
    cluster = Cluster()
    cluster.put(service("a", type="NodePort", ports=[{"port": 53, "protocol": "UDP", "nodePort": 30053}]))
    with pytest.raises(AdmissionError, match=r"spec\.ports\[0\]\.nodePort.*already allocated \(by Service default/a\)"):
        cluster.put(service("b", type="NodePort", ports=[{"port": 53, "protocol": "TCP", "nodePort": 30053}]))


def test_policy_local_has_a_health_check_port_of_its_own() -> None:
    cluster = Cluster()
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    spec = cluster.put(service(**local))["spec"]
    number = spec["healthCheckNodePort"]
    assert number in NODE_PORTS
    assert number != spec["ports"][0]["nodePort"]
    assert cluster.put(service(**local))["spec"]["healthCheckNodePort"] == number
    other = NODE_PORTS[0] if number != NODE_PORTS[0] else NODE_PORTS[1]
    with pytest.raises(AdmissionError, match=r"spec\.healthCheckNodePort: .*field is immutable"):
        cluster.put(service(**local, healthCheckNodePort=other))
    with pytest.raises(AdmissionError, match="already allocated"):
        cluster.put(service("other", type="NodePort", ports=[{"port": 1, "nodePort": number}]))
    assert "healthCheckNodePort" not in cluster.put(service(type="LoadBalancer"))["spec"]


def test_a_balancer_without_node_ports() -> None:
    assert "nodePort" not in admitted(type="LoadBalancer", allocateLoadBalancerNodePorts=False)["ports"][0]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
    ],
)
def test_a_second_family_is_refused(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(AdmissionError) as refused:
        admitted(**spec)
    assert problem in str(refused.value)


def test_two_families_are_a_wish() -> None:
    spec = admitted(ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4", "IPv6"])
    assert spec["ipFamilies"] == ["IPv4"]
    assert len(spec["clusterIPs"]) == 1


def test_types_change_and_addresses_come_and_go() -> None:
    cluster = Cluster()
    address = cluster.put(service(type="NodePort"))["spec"]["clusterIP"]
    external = cluster.put(service(type="ExternalName", externalName="example.org", clusterIP=address))["spec"]
    assert not {"clusterIP", "clusterIPs", "externalTrafficPolicy"} & external.keys()
    assert cluster.put(service("other", clusterIP=address))["spec"]["clusterIP"] == address
    assert cluster.put(service())["spec"]["clusterIP"] not in ("", "None", address)


def test_affinity_has_its_timeout_and_no_affinity_none() -> None:
    affine = admitted(sessionAffinity="ClientIP", sessionAffinityConfig={})
    assert affine["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert "sessionAffinityConfig" not in admitted(sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}})


class CountingStore(Store):
    """A store that counts the looks at all Services."""

    looks = 0

    def list(self, kind: str, namespace: str | None = None) -> Any:
        self.looks += kind == "Service"
        return super().list(kind, namespace)


def services(count: int) -> Iterable[Object]:
    kinds = ("ClusterIP", "NodePort", "LoadBalancer")
    return (service(f"s{number}", type=kinds[number % 3]) for number in range(count))


def test_many_services_are_applied_without_a_look_at_all_others_for_each() -> None:
    admit = ClusterAdmission(IPv4Network("10.96.0.0/16")).admit
    store = CountingStore(random=random.Random(1), clock=lambda: 0.0, admit=admit)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    apply(store, [*services(300)])
    assert store.looks <= 2  # one for each index, when it is built
    specs = [obj["spec"] for obj in store.list("Service")]
    assert len({spec["clusterIP"] for spec in specs}) == 300
    numbers = [port["nodePort"] for spec in specs for port in spec["ports"] if "nodePort" in port]
    assert len(set(numbers)) == len(numbers) == 200


def test_the_class_of_a_load_balancer_stays_as_long_as_the_type_does() -> None:
    cluster = Cluster()
    cluster.put(service(type="LoadBalancer", loadBalancerClass="example.com/a"))
    with pytest.raises(
        AdmissionError, match=r'spec\.loadBalancerClass: .*field is immutable \(it is "example.com/a"\)'
    ):
        cluster.put(service(type="LoadBalancer", loadBalancerClass="example.com/b"))
    with pytest.raises(AdmissionError, match="field is immutable"):
        cluster.put(service(type="LoadBalancer"))
    cluster.put(service(type="NodePort"))
    cluster.put(service(type="LoadBalancer", loadBalancerClass="example.com/b"))
