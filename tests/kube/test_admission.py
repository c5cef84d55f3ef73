from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.objects.meta import Object
from emulator.kube import ipam
from emulator.kube.admission.admission import ClusterAdmission
from emulator.kube.reconciler import AdmissionError

from .harness import Cluster, deployment, node, service


def test_a_cluster_ip_is_given_once_and_kept() -> None:
    cluster = Cluster()
    first = cluster.put(service())["spec"]["clusterIP"]
    assert IPv4Address(first) in IPv4Network("10.96.0.0/16")
    again = cluster.put(service(ports=[{"port": 81}]))["spec"]
    assert again["clusterIP"] == first
    assert again["clusterIPs"] == [first]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"clusterIP": "10.97.0.1"}, "The range of valid IPs is 10.96.0.0/16"),
        ({"clusterIP": "10.96.0.0"}, "first and the last address"),
        ({"clusterIP": "10.96.5.5"}, "provided IP is already allocated"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "The range of valid ports is 30000-32767"),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}]},
            "already allocated (by Service default/first)",
        ),
    ],
)
def test_what_clashes_is_refused_by_name(spec: dict[str, object], problem: str) -> None:
    cluster = Cluster()
    ports = [{"port": 80, "nodePort": 30123}]
    cluster.put(service("first", clusterIP="10.96.5.5", type="NodePort", ports=ports))
    with pytest.raises(AdmissionError) as refused:
        cluster.put(service("second", **spec))
    assert problem in str(refused.value)
    assert "second" in str(refused.value)


def test_exhaustion_refuses_that_object() -> None:
    cluster = Cluster()
    cluster.admission = ClusterAdmission(IPv4Network("10.96.0.0/29"))
    for number in range(6):
        cluster.put(service(f"s{number}"))
    with pytest.raises(AdmissionError, match=r"no address is left in 10\.96\.0\.0/29; delete a Service first"):
        cluster.put(service("one-more"))


def test_node_ports_are_given_kept_and_taken_back() -> None:
    cluster = Cluster()
    port = cluster.put(service(type="NodePort"))["spec"]["ports"][0]["nodePort"]
    assert port in ipam.NODE_PORTS
    assert cluster.put(service(type="NodePort"))["spec"]["ports"][0]["nodePort"] == port
    assert "nodePort" not in cluster.put(service())["spec"]["ports"][0]


def test_headless_and_external_names_get_no_address() -> None:
    cluster = Cluster()
    assert cluster.put(service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]
    external = cluster.put(service("out", type="ExternalName", externalName="example.org"))
    assert "clusterIP" not in external["spec"]


def test_a_node_that_does_not_exist_is_refused_with_the_known_ones() -> None:
    cluster = Cluster()
    cluster.put(node("node-a"))
    wrong = deployment()
    wrong["spec"]["template"]["spec"]["nodeName"] = "node-x"
    with pytest.raises(AdmissionError, match=r"spec\.template\.spec\.nodeName: there is no node \"node-x\".*node-a"):
        cluster.put(wrong)


def test_a_selector_is_immutable() -> None:
    cluster = Cluster()
    cluster.put(deployment())
    changed = deployment()
    changed["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    with pytest.raises(AdmissionError, match=r"spec\.selector: field is immutable"):
        cluster.put(changed)


@given(st.sets(st.integers(1, 65534), max_size=50), st.text(max_size=20))
def test_free_cluster_ips_are_free_and_in_the_range(taken: set[int], asker: str) -> None:
    network = IPv4Network("10.96.0.0/16")
    used = {network.network_address + offset for offset in taken}
    address = ipam.free_cluster_ip(network, asker, used.__contains__)
    assert address is not None
    assert address in network
    assert address not in used


def test_node_addresses_leave_the_gateways_out() -> None:
    network = IPv4Network("172.18.0.0/29")
    taken: set[IPv4Address] = set()
    while (address := ipam.free_node_address(network, taken)) is not None:
        taken.add(address)
    assert [str(entry) for entry in sorted(taken)] == [f"172.18.0.{n}" for n in range(2, 7)]


def test_pod_cidrs_do_not_overlap_and_run_out() -> None:
    pods, taken = IPv4Network("10.244.0.0/16"), []
    while (subnet := ipam.free_pod_cidr(pods, 18, taken)) is not None:
        taken.append(subnet)
    assert [str(entry) for entry in taken] == [f"10.244.{n}.0/18" for n in (0, 64, 128, 192)]


def test_pod_cidrs_stand_beside_odd_ones() -> None:
    taken = [IPv4Network("10.244.0.128/25"), IPv4Network("10.0.0.0/8"), IPv4Network("10.245.0.0/24")]
    assert str(ipam.free_pod_cidr(IPv4Network("10.244.0.0/16"), 24, taken[:1])) == "10.244.1.0/24"
    assert ipam.free_pod_cidr(IPv4Network("10.244.0.0/16"), 24, taken) is None
    assert str(ipam.free_pod_cidr(IPv4Network("10.244.0.0/16"), 24, taken[2:])) == "10.244.0.0/24"


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(18, 28)), max_size=12), st.integers(17, 26))
def test_a_free_pod_cidr_is_the_first_that_overlaps_nothing(taken: list[tuple[int, int]], mask: int) -> None:
    pods = IPv4Network("10.244.0.0/16")
    networks = [IPv4Network(f"10.244.{octet}.0/{length}", strict=False) for octet, length in taken]
    subnets = pods.subnets(new_prefix=mask)
    expected = next((net for net in subnets if not any(net.overlaps(other) for other in networks)), None)
    assert ipam.free_pod_cidr(pods, mask, networks) == expected


@pytest.mark.parametrize("cidr", ["10.244.1.0/24", "10.244.1.128/25", "10.244.0.0/16"])
def test_a_pod_cidr_of_another_node_is_refused_with_its_name(cidr: str) -> None:
    cluster = Cluster()
    cluster.put(node("node-a", podCIDR="10.244.1.0/24"))
    cluster.put(node("node-b", podCIDR="10.245.1.0/24"))
    with pytest.raises(AdmissionError, match=r"overlaps with 10\.244\.1\.0/24 of node node-a"):
        cluster.put(node("node-c", podCIDR=cidr))
    with pytest.raises(AdmissionError, match="may not change podCIDR"):
        cluster.put(node("node-a", podCIDR="10.246.0.0/24"))
    cluster.put(node("node-a", podCIDR="10.244.1.0/24", unschedulable=True))


def bare_pod(image: str = "nginx", **spec: object) -> Object:
    container = {"name": "c", "image": image, "ports": [{"containerPort": 80}]}
    metadata = {"name": "p", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def test_a_pods_spec_is_fixed_but_for_its_image() -> None:
    cluster = Cluster()
    cluster.put(node("node-a"))
    cluster.put(bare_pod())
    cluster.put(bare_pod(nodeName="node-a"))  # its binding
    cluster.put(bare_pod("nginx:2", nodeName="node-a", tolerations=[{"operator": "Exists"}]))
    with pytest.raises(AdmissionError, match="pod updates may not change fields other than"):
        cluster.put(bare_pod("nginx:2", nodeName="node-a", hostNetwork=True, tolerations=[{"operator": "Exists"}]))
    with pytest.raises(AdmissionError, match="pod updates may not change fields other than"):
        cluster.put(bare_pod("nginx:2", nodeName="node-a"))  # a toleration goes


def test_strategies_are_filled_in() -> None:
    cluster = Cluster()
    assert cluster.put(deployment("a", strategy={"rollingUpdate": {"maxSurge": 1}}))["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"},
    }
    assert cluster.put(deployment("b", strategy={"type": "Recreate"}))["spec"]["strategy"] == {"type": "Recreate"}
