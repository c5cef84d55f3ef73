"""The rules of iptables mode, as text and in the real kernel's own words."""

import subprocess
import uuid
from typing import Any

import pytest

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.proxy.iptables.iptables import IptablesProxy
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

NODE = ProxyNode(name="node-a", addresses=("172.18.0.2",), pod_cidr="10.244.0.0/24")


def service(spec: dict[str, Any], status: dict[str, Any] | None = None) -> Service:
    return view({"metadata": {"namespace": "ns1", "name": "svc1"}, "spec": spec, "status": status or {}}, Service)


def slice_of(*endpoints: tuple[str, str], port: int = 80, name: str = "p80") -> EndpointSlice:
    return view(
        {
            "metadata": {"namespace": "ns1", "name": "svc1-x", "labels": {"kubernetes.io/service-name": "svc1"}},
            "addressType": "IPv4",
            "ports": [{"name": name, "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [ip], "nodeName": node} for ip, node in endpoints],
        },
        EndpointSlice,
    )


def tracker_of(spec: dict[str, Any], *slices: EndpointSlice, **status: Any) -> ServiceTracker:
    return ServiceTracker([service(spec, status)], slices)


def render(spec: dict[str, Any], *slices: EndpointSlice, settings: ProxySettings | None = None, **status: Any) -> str:
    return IptablesProxy(NODE, settings or ProxySettings()).sync(tracker_of(spec, *slices, **status), 0.0).iptables


CLUSTER_IP = {"clusterIP": "172.30.0.41", "ports": [{"name": "p80", "port": 80}]}
LOCAL_NODE_PORT = CLUSTER_IP | {
    "type": "NodePort",
    "externalTrafficPolicy": "Local",
    "ports": [{"name": "p80", "port": 80, "nodePort": 30080}],
}


def test_a_cluster_ip_with_one_endpoint_is_five_rules() -> None:
    text = render(CLUSTER_IP, slice_of(("10.180.0.1", "node-b")))
    for line in (
        '-A KUBE-SERVICES -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 172.30.0.41 --dport 80'
        " -j KUBE-SVC-XPGD46QRK7WJZT7O",
        '-A KUBE-SVC-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 172.30.0.41'
        " --dport 80 ! -s 10.244.0.0/24 -j KUBE-MARK-MASQ",
        '-A KUBE-SVC-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 -> 10.180.0.1:80"'
        " -j KUBE-SEP-SXIVWICOYRO3J4NJ",
        "-A KUBE-SEP-SXIVWICOYRO3J4NJ -m comment --comment ns1/svc1:p80 -s 10.180.0.1 -j KUBE-MARK-MASQ",
        "-A KUBE-SEP-SXIVWICOYRO3J4NJ -m comment --comment ns1/svc1:p80 -m tcp -p tcp"
        " -j DNAT --to-destination 10.180.0.1:80",
    ):
        assert line in text.splitlines()
    assert sum("ns1/svc1" in line for line in text.splitlines() if line.startswith("-A")) == 5


def test_probabilities_share_evenly_and_order_is_lexical() -> None:
    text = render(CLUSTER_IP, slice_of(("10.0.0.9", "node-b"), ("10.0.0.10", "node-b"), ("10.0.0.2", "node-a")))
    spread = [line for line in text.splitlines() if line.startswith("-A KUBE-SVC") and "->" in line]
    assert [line.split("-> ")[1].split(":80")[0] for line in spread] == ["10.0.0.10", "10.0.0.2", "10.0.0.9"]
    assert "--probability 0.3333333333 " in spread[0]
    assert "--probability 0.5000000000 " in spread[1]
    assert "statistic" not in spread[2]


def test_no_endpoints_rejects() -> None:
    text = render(CLUSTER_IP)
    assert (
        '-A KUBE-SERVICES -m comment --comment "ns1/svc1:p80 has no endpoints" -m tcp -p tcp -d 172.30.0.41 --dport 80'
        " -j REJECT"
    ) in text
    assert "KUBE-SVC-" not in text


def test_internal_policy_local_with_endpoints_elsewhere_drops() -> None:
    text = render(CLUSTER_IP | {"internalTrafficPolicy": "Local"}, slice_of(("10.0.0.1", "node-b")))
    assert '"ns1/svc1:p80 has no local endpoints" -m tcp -p tcp -d 172.30.0.41 --dport 80 -j DROP' in text
    assert "KUBE-SVL-" not in text


def test_external_policy_local_without_local_endpoint_short_circuits_pods_and_drops_the_rest() -> None:
    text = render(LOCAL_NODE_PORT, slice_of(("10.0.0.1", "node-b")))
    chain = "KUBE-EXT-XPGD46QRK7WJZT7O"
    assert f"-A KUBE-NODEPORTS -m comment --comment ns1/svc1:p80 -m tcp -p tcp --dport 30080 -j {chain}" in text
    assert "-s 10.244.0.0/24 -j KUBE-SVC-XPGD46QRK7WJZT7O" in text
    assert (
        '"ns1/svc1:p80 has no local endpoints" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j DROP' in text
    )
    assert f"-A {chain} -j KUBE-SVL" not in text


def test_external_policy_local_with_a_local_endpoint() -> None:
    text = render(LOCAL_NODE_PORT, slice_of(("10.0.0.1", "node-b"), ("10.0.0.2", "node-a")))
    assert "-A KUBE-EXT-XPGD46QRK7WJZT7O -j KUBE-SVL-XPGD46QRK7WJZT7O" in text
    assert "has no local endpoints" not in text


def test_source_ranges_lead_through_the_firewall_chain() -> None:
    spec = CLUSTER_IP | {"type": "LoadBalancer", "loadBalancerSourceRanges": [" 203.0.113.0/25", "172.18.0.0/16"]}
    text = render(spec, slice_of(("10.0.0.1", "node-b")), loadBalancer={"ingress": [{"ip": "1.2.3.4"}]})
    firewall = "KUBE-FW-XPGD46QRK7WJZT7O"
    assert f'"ns1/svc1:p80 loadbalancer IP" -m tcp -p tcp -d 1.2.3.4 --dport 80 -j {firewall}' in text
    assert f'-A {firewall} -m comment --comment "ns1/svc1:p80 loadbalancer IP" -s 203.0.113.0/25 -j KUBE-EXT' in text
    assert f'-A {firewall} -m comment --comment "ns1/svc1:p80 loadbalancer IP" -s 1.2.3.4 -j KUBE-EXT' in text
    assert f'"ns1/svc1:p80 traffic not accepted by {firewall}" -m tcp -p tcp -d 1.2.3.4 --dport 80 -j DROP' in text


def test_affinity_is_checked_before_chance() -> None:
    text = render(CLUSTER_IP | {"sessionAffinity": "ClientIP"}, slice_of(("10.180.0.1", "node-b")))
    lines = text.splitlines()
    check = next(i for i, line in enumerate(lines) if "--rcheck --seconds 10800 --reap" in line)
    last = next(i for i, line in enumerate(lines) if line.endswith('10.180.0.1:80" -j KUBE-SEP-SXIVWICOYRO3J4NJ'))
    assert check < last
    assert "-m recent --name KUBE-SEP-SXIVWICOYRO3J4NJ --set -m tcp -p tcp -j DNAT" in text


def test_stale_chains_are_flushed_and_deleted() -> None:
    proxy = IptablesProxy(NODE, ProxySettings())
    tracker = tracker_of(CLUSTER_IP, slice_of(("10.180.0.1", "node-b")))
    proxy.sync(tracker, 0.0)
    tracker.put_slice(slice_of(("10.180.0.2", "node-b")))
    text = proxy.sync(tracker, 1.0).iptables
    assert ":KUBE-SEP-SXIVWICOYRO3J4NJ - [0:0]" in text
    assert "-X KUBE-SEP-SXIVWICOYRO3J4NJ" in text
    assert "-I " not in text


def test_large_clusters_go_without_the_comments_of_endpoints() -> None:
    many = [(f"10.{i // 250}.{i % 250}.1", "node-b") for i in range(1001)]
    text = render(CLUSTER_IP, slice_of(*many))
    assert "->" not in text
    assert not [line for line in text.splitlines() if "KUBE-SEP-" in line and "comment" in line]
    assert text.count('"ns1/svc1:p80 cluster IP"') == 2
    assert "->" in render(CLUSTER_IP, slice_of(*many[1:]))


@pytest.mark.kernel
@pytest.mark.parametrize(
    "spec", [CLUSTER_IP, LOCAL_NODE_PORT, CLUSTER_IP | {"sessionAffinity": "ClientIP", "externalIPs": ["9.9.9.9"]}]
)
def test_the_real_iptables_restore_loads_every_sync(spec: dict[str, Any]) -> None:
    netns = f"podwire-{uuid.uuid4().hex[:8]}"
    proxy = IptablesProxy(NODE, ProxySettings())
    tracker = tracker_of(spec)
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        for endpoints in ((("10.0.0.1", "node-a"), ("10.0.0.2", "node-b")), (("10.0.0.3", "node-b"),), ()):
            tracker.put_slice(slice_of(*endpoints))
            text = proxy.sync(tracker, 0.0).iptables
            command = ["ip", "netns", "exec", netns, "iptables-restore", "--noflush"]
            loaded = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
            assert loaded.returncode == 0, loaded.stderr
        saved = subprocess.run(
            ["ip", "netns", "exec", netns, "iptables-save"], check=True, text=True, capture_output=True
        ).stdout
        assert "KUBE-SEP-" not in saved
        assert saved.count("-j KUBE-POSTROUTING") == 1
    finally:
        subprocess.run(["ip", "netns", "delete", netns], check=True)
