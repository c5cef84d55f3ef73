"""iptables mode, row by row of what kube-proxy does, and loaded by the real tools and by our own netfilter alike."""

from __future__ import annotations

import random
import subprocess
import uuid
from typing import Any

import pytest

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from emulator.kube.proxy.iptables.iptables import IptablesProxy
from emulator.kube.proxy.service_port import service_ports
from emulator.kube.proxy.settings import ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

from .test_iptables import CLUSTER_IP, LOCAL_NODE_PORT, NODE, render, slice_of

HASH = "XPGD46QRK7WJZT7O"
ELSEWHERE = slice_of(("10.0.0.1", "node-b"))
HERE = slice_of(("10.0.0.2", "node-a"))
INGRESS = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
NODE_PORT = CLUSTER_IP | {"type": "NodePort", "ports": [{"name": "p80", "port": 80, "nodePort": 30080}]}
BALANCER = NODE_PORT | {"type": "LoadBalancer"}


def rules(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_jumps_are_prepended_in_kube_proxys_order() -> None:
    text = render(CLUSTER_IP)
    jumps = [(line.split()[1], line.rpartition(" ")[2]) for line in rules(text, "-I ")]
    assert jumps == [
        ("INPUT", "KUBE-FIREWALL"),
        ("OUTPUT", "KUBE-FIREWALL"),
        ("INPUT", "KUBE-EXTERNAL-SERVICES"),
        ("FORWARD", "KUBE-EXTERNAL-SERVICES"),
        ("INPUT", "KUBE-NODEPORTS"),
        ("FORWARD", "KUBE-SERVICES"),
        ("OUTPUT", "KUBE-SERVICES"),
        ("FORWARD", "KUBE-FORWARD"),
        ("INPUT", "KUBE-PROXY-FIREWALL"),
        ("OUTPUT", "KUBE-PROXY-FIREWALL"),
        ("FORWARD", "KUBE-PROXY-FIREWALL"),
        ("OUTPUT", "KUBE-SERVICES"),
        ("PREROUTING", "KUBE-SERVICES"),
        ("POSTROUTING", "KUBE-POSTROUTING"),
    ]
    new = {jump for jump, line in zip(jumps, rules(text, "-I "), strict=True) if "--ctstate NEW" in line}
    assert {target for _, target in new} == {"KUBE-EXTERNAL-SERVICES", "KUBE-SERVICES", "KUBE-PROXY-FIREWALL"}


def test_a_canary_stands_in_each_table() -> None:
    tables = render(CLUSTER_IP).split("COMMIT")
    assert [table.split()[0] for table in tables if ":KUBE-PROXY-CANARY - [0:0]" in table] == [
        "*mangle",
        "*filter",
        "*nat",
    ]


def test_marks_are_cleared_before_masquerading() -> None:
    assert [line.partition(" -j ")[2] for line in rules(render(CLUSTER_IP), "-A KUBE-POSTROUTING")] == [
        "RETURN",
        "MARK --xor-mark 0x4000",
        "MASQUERADE --random-fully",
    ]


def test_the_last_rule_of_services_leads_to_node_ports() -> None:
    assert rules(render(NODE_PORT, HERE), "-A KUBE-SERVICES")[-1].endswith(
        "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
    )
    off = render(NODE_PORT, HERE, settings=ProxySettings(localhost_node_ports=False))
    assert rules(off, "-A KUBE-SERVICES")[-1].endswith("--dst-type LOCAL ! -d 127.0.0.0/8 -j KUBE-NODEPORTS")
    assert "-j KUBE-FIREWALL" not in off
    chosen = render(NODE_PORT, HERE, settings=ProxySettings(node_port_addresses=("172.18.0.0/16",)))
    assert rules(chosen, "-A KUBE-SERVICES")[-1].endswith("-d 172.18.0.2 -j KUBE-NODEPORTS")


def test_who_is_masqueraded_on_the_way_to_a_cluster_ip() -> None:
    chain = f"-A KUBE-SVC-{HASH}"
    every = render(CLUSTER_IP, HERE, settings=ProxySettings(masquerade_all=True))
    assert "! -s" not in rules(every, chain)[0]
    assert rules(every, chain)[0].endswith("-j KUBE-MARK-MASQ")
    none = render(CLUSTER_IP, HERE, settings=ProxySettings(detect_local=False))
    assert not [line for line in rules(none, chain) if "MARK-MASQ" in line]


def test_liberal_conntrack_drops_nothing_as_invalid() -> None:
    assert "--ctstate INVALID" in render(CLUSTER_IP)
    assert "--ctstate INVALID" not in render(CLUSTER_IP, settings=ProxySettings(conntrack_liberal=True))


LOCAL = "-m addrtype --dst-type LOCAL"


@pytest.mark.parametrize(
    ("addresses", "localhost", "leads", "serves_localhost"),
    [
        pytest.param((), True, [LOCAL], True, id="all"),
        pytest.param((), False, [f"{LOCAL} ! -d 127.0.0.0/8"], False, id="all but localhost"),
        pytest.param(("0.0.0.0/0",), True, [LOCAL], True, id="all, as a network"),
        pytest.param(("::/0",), True, [], False, id="none of this family"),
        pytest.param(("172.18.0.0/16",), True, ["-d 172.18.0.2"], False, id="a network without loopback"),
        pytest.param(("127.0.0.0/8",), True, ["-d 127.0.0.1"], True, id="loopback only"),
        pytest.param(("127.0.0.0/8",), False, [], False, id="loopback, which is switched off"),
        pytest.param(("172.18.0.0/16", "127.0.0.1/32"), True, ["-d 172.18.0.2", "-d 127.0.0.1"], True, id="both"),
        pytest.param(("primary",), True, ["-d 172.18.0.2"], False, id="the primary address"),
    ],
)
def test_node_port_addresses(addresses: tuple[str, ...], localhost: bool, leads: list[str], serves_localhost: bool):
    """TestNodePorts of proxier_test.go; `NodePortAddresses.MatchAll`, `ContainsIPv4Loopback` and `GetNodeIPs`."""
    options = ProxySettings(node_port_addresses=addresses, localhost_node_ports=localhost)
    writes = IptablesProxy(NODE, options).sync(ServiceTracker(), 0.0)
    found = rules(writes.iptables, '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports')
    assert [line.partition('chain" ')[2].removesuffix(" -j KUBE-NODEPORTS") for line in found] == leads
    assert bool(rules(writes.iptables, "-A KUBE-FIREWALL")) is serves_localhost
    assert writes.iptables.count("-j KUBE-FIREWALL") == (2 if serves_localhost else 0)
    assert writes.sysctls == ((("net.ipv4.conf.all.route_localnet", 1),) if serves_localhost else ())


def test_an_external_ip_without_endpoints_is_rejected_where_it_enters() -> None:
    text = render(CLUSTER_IP | {"externalIPs": ["9.9.9.9"]})
    assert len(rules(text, "-A KUBE-EXTERNAL-SERVICES")) == 1
    assert rules(text, "-A KUBE-EXTERNAL-SERVICES")[0].endswith("-d 9.9.9.9 --dport 80 -j REJECT")
    assert not [line for line in rules(text, "-A KUBE-SERVICES") if "9.9.9.9" in line and "EXT" in line]


def test_node_ports_do_not_pass_the_balancers_firewall() -> None:
    text = render(BALANCER | {"loadBalancerSourceRanges": ["203.0.113.0/24"]}, HERE, **INGRESS)
    assert rules(text, "-A KUBE-NODEPORTS")[0].endswith(f"-j KUBE-EXT-{HASH}")
    assert f"-A KUBE-FW-{HASH}" in text
    assert len(rules(text, "-A KUBE-PROXY-FIREWALL")) == 1


def test_a_firewall_needs_endpoints_an_address_and_ranges_of_its_family() -> None:
    ranges = BALANCER | {"loadBalancerSourceRanges": ["203.0.113.0/24"]}
    for text in (
        render(ranges, **INGRESS),
        render(ranges, HERE),
        render(BALANCER, HERE, **INGRESS),
        render(BALANCER | {"loadBalancerSourceRanges": ["2001:db8::/32"]}, HERE, **INGRESS),
    ):
        assert "KUBE-FW-" not in text


@pytest.mark.parametrize("other", ["foo", "203.0.113.2", "198.51.100.0/33", "198.51.100.0/255.255.255.0", "/8", " "])
def test_ranges_that_are_no_networks_are_passed_over(other: str) -> None:
    valid = render(BALANCER | {"loadBalancerSourceRanges": ["203.0.113.0/24"]}, HERE, **INGRESS)
    assert render(BALANCER | {"loadBalancerSourceRanges": [other, "203.0.113.0/24"]}, HERE, **INGRESS) == valid
    alone = render(BALANCER | {"loadBalancerSourceRanges": [other]}, HERE, **INGRESS)
    assert alone == render(BALANCER, HERE, **INGRESS)


def test_a_balancer_that_is_a_proxy_has_no_rules_here() -> None:
    assert "1.2.3.4" in render(BALANCER, HERE, **INGRESS)
    assert "1.2.3.4" not in render(BALANCER, HERE, loadBalancer={"ingress": [{"ip": "1.2.3.4", "ipMode": "Proxy"}]})


def test_health_checks_are_let_in_for_balancers_of_policy_local_only() -> None:
    spec = BALANCER | {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30500}
    (rule,) = rules(render(spec, HERE, **INGRESS), '-A KUBE-NODEPORTS -m comment --comment "ns1/svc1:p80 health')
    assert rule.endswith("-m tcp -p tcp --dport 30500 -j ACCEPT")
    assert "30500" not in render(spec | {"externalTrafficPolicy": "Cluster"}, HERE, **INGRESS)


def test_the_order_of_a_local_external_chain() -> None:
    both = slice_of(("10.0.0.1", "node-b"), ("10.0.0.2", "node-a"))
    targets = [line.rpartition(" ")[2] for line in rules(render(LOCAL_NODE_PORT, both), f"-A KUBE-EXT-{HASH}")]
    assert targets == [f"KUBE-SVC-{HASH}", "KUBE-MARK-MASQ", f"KUBE-SVC-{HASH}", f"KUBE-SVL-{HASH}"]


def test_policies_do_not_touch_each_other() -> None:
    inside = render(NODE_PORT | {"internalTrafficPolicy": "Local"}, ELSEWHERE)
    assert rules(inside, f"-A KUBE-EXT-{HASH}")[-1].endswith(f"-j KUBE-SVC-{HASH}")
    assert [line for line in rules(inside, "-A KUBE-SERVICES") if line.endswith("-j DROP")]
    outside = render(LOCAL_NODE_PORT, ELSEWHERE)
    assert rules(outside, "-A KUBE-SERVICES")[-2].endswith(f"-j KUBE-SVC-{HASH}")


def test_services_of_another_proxy_are_left_to_it() -> None:
    metadata = {"namespace": "a", "name": "b", "labels": {"service.kubernetes.io/service-proxy-name": "x"}}
    assert service_ports([view({"metadata": metadata, "spec": CLUSTER_IP}, Service)]) == {}


def test_endpoints_that_no_rule_leads_to_make_a_cluster_large_too() -> None:
    many = [{"addresses": [f"10.{n // 250}.{n % 250}.1"], "conditions": {"ready": n == 0}} for n in range(1001)]
    metadata = {"namespace": "ns1", "name": "x", "labels": {"kubernetes.io/service-name": "svc1"}}
    for count, shown in ((1000, True), (1001, False)):
        ports = [{"name": "p80", "port": 80}]
        slice_ = view({"metadata": metadata, "ports": ports, "endpoints": many[:count]}, EndpointSlice)
        assert ("svc1:p80 -> 10.0.0.1:80" in render(CLUSTER_IP, slice_)) is shown


SPECS: list[dict[str, Any]] = [
    CLUSTER_IP,
    LOCAL_NODE_PORT,
    CLUSTER_IP | {"sessionAffinity": "ClientIP", "externalIPs": ["9.9.9.9"]},
    BALANCER | {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30500},
    BALANCER | {"loadBalancerSourceRanges": ["203.0.113.0/24", "172.18.0.0/16"], "sessionAffinity": "ClientIP"},
    CLUSTER_IP | {"ports": [{"name": "p80", "port": 80}, {"name": "u", "port": 53, "protocol": "UDP"}]},
    CLUSTER_IP | {"ports": [{"name": "p80", "port": 80, "protocol": "SCTP"}]},
]


def saved_really(text: str) -> list[str]:
    netns = f"podwire-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        command = ["ip", "netns", "exec", netns, "iptables-restore", "--noflush"]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)
        command = ["ip", "netns", "exec", netns, "iptables-save"]
        return lines(subprocess.run(command, text=True, check=True, capture_output=True).stdout)
    finally:
        subprocess.run(["ip", "netns", "delete", netns], check=True)


def lines(saved: str) -> list[str]:
    """Return the tables without comments and counters, sorted by table; rules keep their order."""
    tables = [part for part in saved.split("*")[1:] if part.strip()]
    kept = [[line for line in table.splitlines() if line and line[0] != "#"] for table in tables]
    return [line.partition(" [")[0] for table in sorted(kept) for line in table]


@pytest.mark.kernel
@pytest.mark.parametrize("spec", SPECS)
def test_the_kernel_and_our_netfilter_hold_the_same_rules(spec: dict[str, Any]) -> None:
    service = view({"metadata": {"namespace": "ns1", "name": "svc1"}, "spec": spec, "status": INGRESS}, Service)
    tracker = ServiceTracker([service], [slice_of(("10.0.0.1", "node-b"), ("10.0.0.2", "node-a"))])
    text = IptablesProxy(NODE, ProxySettings()).sync(tracker, 0.0).iptables
    netns = Netns(Kernel("node-a", random.Random(1), 0.0), "root")
    netns.netfilter.restore(text, noflush=True)
    assert lines(netns.netfilter.save()) == saved_really(text)
