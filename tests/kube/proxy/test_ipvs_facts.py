"""IPVS mode holds kube-proxy's facts: elements of sets, rules in their order, virtual and real servers.

Source of the facts: pkg/proxy/ipvs/proxier_test.go, proxier.go, ipset.go.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.settings import ProxySettings
from tests.kube.proxy.ipvs_bed import BRIDGE_ADDRESS, NODE, Bed, service, slice_of, spec

BOTH = (("10.180.0.1", "node-a"), ("10.180.1.1", "node-b"))
CLUSTER_IP = "172.30.0.41"
ETH0 = NODE.addresses[0]
IN_SETS = "-m set --match-set"


def targets(lines: list[str]) -> list[tuple[str, str]]:
    """Each rule's target, and the set that it looks in."""
    found = []
    for line in lines:
        words = line.split()
        found.append((words[words.index("-j") + 1], words[words.index("--match-set") + 1] if IN_SETS in line else ""))
    return found


def bed_of(given: dict[str, Any], *ingress: str, settings: ProxySettings | None = None, protocol: str = "TCP") -> Bed:
    bed = Bed(settings).put(service(given, *ingress), slice_of(*BOTH, protocol=protocol))
    bed.sync()
    return bed


def test_every_set_is_made_with_its_type_and_in_its_order():
    text = Bed().sync().ipset
    assert [line.split()[1:3] for line in text.splitlines()] == [
        ["KUBE-LOOP-BACK", "hash:ip,port,ip"],
        ["KUBE-CLUSTER-IP", "hash:ip,port"],
        ["KUBE-EXTERNAL-IP", "hash:ip,port"],
        ["KUBE-EXTERNAL-IP-LOCAL", "hash:ip,port"],
        ["KUBE-LOAD-BALANCER", "hash:ip,port"],
        ["KUBE-LOAD-BALANCER-FW", "hash:ip,port"],
        ["KUBE-LOAD-BALANCER-LOCAL", "hash:ip,port"],
        ["KUBE-LOAD-BALANCER-SOURCE-IP", "hash:ip,port,ip"],
        ["KUBE-LOAD-BALANCER-SOURCE-CIDR", "hash:ip,port,net"],
        ["KUBE-NODE-PORT-TCP", "bitmap:port"],
        ["KUBE-NODE-PORT-LOCAL-TCP", "bitmap:port"],
        ["KUBE-NODE-PORT-UDP", "bitmap:port"],
        ["KUBE-NODE-PORT-LOCAL-UDP", "bitmap:port"],
        ["KUBE-NODE-PORT-SCTP-HASH", "hash:ip,port"],
        ["KUBE-NODE-PORT-LOCAL-SCTP-HASH", "hash:ip,port"],
        ["KUBE-HEALTH-CHECK-NODE-PORT", "bitmap:port"],
        ["KUBE-IPVS-IPS", "hash:ip"],
    ]
    assert text.count(" family inet hashsize 1024 maxelem 65536\n") == 12
    assert text.count(" range 0-65535\n") == 5


def test_sysctls():
    first = Bed().sync().sysctls
    assert first == (
        ("net.ipv4.vs.conntrack", 1),
        ("net.ipv4.vs.expire_nodest_conn", 1),
        ("net.ipv4.vs.expire_quiescent_template", 1),
        ("net.ipv4.ip_forward", 1),
    )
    strict = Bed(ProxySettings(ipvs_strict_arp=True)).sync().sysctls
    assert strict == (*first, ("net.ipv4.conf.all.arp_ignore", 1), ("net.ipv4.conf.all.arp_announce", 2))
    bed = Bed(ProxySettings(ipvs_timeouts=(900, 0, 300)))
    assert bed.sync().ipvsadm == "--set 900 0 300\n"
    assert bed.sync() == Writes()  # nothing twice


def test_without_services_the_rules_are_these():
    bed = Bed()
    bed.sync()
    assert [rule for chain in ("PREROUTING", "OUTPUT") for rule in bed.rules("nat", chain)] == [
        '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    ] * 2
    assert bed.rules("nat", "POSTROUTING") == [
        '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
    ]
    assert bed.rules("filter", "INPUT") == [
        '-m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER',
        '-m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
        '-m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT',
    ]
    assert bed.rules("filter", "FORWARD") == [
        '-m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
        '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    ]
    assert bed.rules("filter", "OUTPUT") == [
        '-m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-OUT-FILTER'
    ]
    assert bed.rules("nat", "KUBE-SERVICES") == [
        "-s 127.0.0.0/8 -j RETURN",
        "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
    ]
    assert bed.rules("nat", "KUBE-LOAD-BALANCER") == ["-j KUBE-MARK-MASQ"]
    assert bed.rules("nat", "KUBE-NODE-PORT") == []
    assert bed.rules("nat", "KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x4000/0x4000"]
    assert bed.rules("nat", "KUBE-POSTROUTING") == [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --set-xmark 0x4000/0x0",
        '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ]
    assert bed.rules("filter", "KUBE-FORWARD") == [
        '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
        '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED'
        " -j ACCEPT",
    ]
    assert bed.rules("filter", "KUBE-NODE-PORT") == [
        f'-m comment --comment "Kubernetes health check node port" {IN_SETS} KUBE-HEALTH-CHECK-NODE-PORT dst -j ACCEPT'
    ]
    assert bed.rules("filter", "KUBE-SOURCE-RANGES-FIREWALL") == ["-j DROP"]
    assert bed.rules("filter", "KUBE-PROXY-FIREWALL") == bed.rules("filter", "KUBE-IPVS-OUT-FILTER") == []
    assert bed.rules("filter", "KUBE-IPVS-FILTER") == [
        f"{IN_SETS} KUBE-LOAD-BALANCER dst,dst -j RETURN",
        f"{IN_SETS} KUBE-CLUSTER-IP dst,dst -j RETURN",
        f"{IN_SETS} KUBE-EXTERNAL-IP dst,dst -j RETURN",
        f"{IN_SETS} KUBE-EXTERNAL-IP-LOCAL dst,dst -j RETURN",
        f"{IN_SETS} KUBE-HEALTH-CHECK-NODE-PORT dst -j RETURN",
        f"-m conntrack --ctstate NEW {IN_SETS} KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable",
    ]


def test_a_cluster_ip():
    bed = bed_of(spec())
    assert bed.servers() == {f"tcp {CLUSTER_IP}:80": {"10.180.0.1:80": 1, "10.180.1.1:80": 1}}
    assert bed.node.bound_addresses() == [CLUSTER_IP]
    assert bed.elements("KUBE-CLUSTER-IP") == [f"{CLUSTER_IP},tcp:80"]
    assert bed.elements("KUBE-IPVS-IPS") == [CLUSTER_IP]
    assert bed.elements("KUBE-LOOP-BACK") == ["10.180.0.1,tcp:80,10.180.0.1"]
    assert targets(bed.rules("nat", "KUBE-SERVICES")) == [
        ("RETURN", ""),
        ("KUBE-MARK-MASQ", "KUBE-CLUSTER-IP"),
        ("KUBE-NODE-PORT", ""),
        ("ACCEPT", "KUBE-CLUSTER-IP"),
    ]
    assert targets(bed.rules("nat", "KUBE-POSTROUTING"))[0] == ("MASQUERADE", "KUBE-LOOP-BACK")
    assert " KUBE-LOOP-BACK dst,dst,src " in bed.rules("nat", "KUBE-POSTROUTING")[0]


def test_a_service_without_endpoints_has_its_virtual_servers_all_the_same():
    bed = Bed().put(service(spec(type="NodePort", node_port=30001)))
    bed.sync()
    assert bed.servers() == {f"tcp {ip}:{port}": {} for ip, port in (
        (CLUSTER_IP, 80), (BRIDGE_ADDRESS, 30001), (ETH0, 30001)
    )}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (ProxySettings(), f"! -s 10.244.0.0/24 COMMENT {IN_SETS} KUBE-CLUSTER-IP dst,dst"),
        (ProxySettings(masquerade_all=True), f"COMMENT {IN_SETS} KUBE-CLUSTER-IP dst,dst"),
        (ProxySettings(detect_local=False), f"COMMENT {IN_SETS} KUBE-CLUSTER-IP src,dst"),
    ],
)
def test_who_is_masqueraded_to_a_cluster_ip(settings: ProxySettings, rule: str):
    comment = '-m comment --comment "Kubernetes service cluster ip + port for masquerade purpose"'
    rules = bed_of(spec(), settings=settings).rules("nat", "KUBE-SERVICES")
    assert rules[1] == f"{rule.replace('COMMENT', comment)} -j KUBE-MARK-MASQ"


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_node_port(protocol: str, policy: str):
    bed = bed_of(
        spec(type="NodePort", node_port=3001, externalTrafficPolicy=policy, protocol=protocol), protocol=protocol
    )
    name = protocol.lower()
    everyone = {"10.180.0.1:80": 1, "10.180.1.1:80": 1}
    chosen = everyone if policy == "Cluster" else {"10.180.0.1:80": 1}
    assert bed.servers() == {
        f"{name} {CLUSTER_IP}:80": everyone,
        f"{name} {ETH0}:3001": chosen,
        f"{name} {BRIDGE_ADDRESS}:3001": chosen,
    }
    assert bed.node.bound_addresses() == [CLUSTER_IP]  # a node's own addresses are not bound again
    assert bed.elements(f"KUBE-NODE-PORT-{protocol}") == ["3001"]
    assert bed.elements(f"KUBE-NODE-PORT-LOCAL-{protocol}") == ([] if policy == "Cluster" else ["3001"])
    marks = [("KUBE-MARK-MASQ", f"KUBE-NODE-PORT-{protocol}")]
    returns = [("RETURN", f"KUBE-NODE-PORT-LOCAL-{protocol}")] if policy == "Local" else []
    assert targets(bed.rules("nat", "KUBE-NODE-PORT")) == returns + marks
    assert all(rule.startswith(f"-p {name} ") for rule in bed.rules("nat", "KUBE-NODE-PORT"))


def test_an_sctp_node_port_is_an_element_for_each_address():
    bed = bed_of(spec(type="NodePort", node_port=3001, externalTrafficPolicy="Local", protocol="SCTP"), protocol="SCTP")
    elements = sorted([f"{BRIDGE_ADDRESS},sctp:3001", f"{ETH0},sctp:3001"])
    assert bed.elements("KUBE-NODE-PORT-SCTP-HASH") == bed.elements("KUBE-NODE-PORT-LOCAL-SCTP-HASH") == elements
    assert bed.elements("KUBE-LOOP-BACK") == ["10.180.0.1,sctp:80,10.180.0.1"]
    assert f"-A --sctp-service {ETH0}:3001 -s rr" in bed.node.said
    rules = bed.rules("nat", "KUBE-NODE-PORT")
    assert targets(rules) == [
        ("RETURN", "KUBE-NODE-PORT-LOCAL-SCTP-HASH"),
        ("KUBE-MARK-MASQ", "KUBE-NODE-PORT-SCTP-HASH"),
    ]
    assert all(rule.startswith("-p sctp ") and " dst,dst " in rule for rule in rules)


def test_node_port_addresses_choose_and_none_leaves_node_ports_out():
    given = spec(type="NodePort", node_port=3001)
    some = bed_of(given, settings=ProxySettings(node_port_addresses=("172.18.0.0/16",)))
    assert sorted(some.servers()) == [f"tcp {ETH0}:3001", f"tcp {CLUSTER_IP}:80"]
    none = bed_of(given, settings=ProxySettings(node_port_addresses=("192.168.0.0/16", "127.0.0.0/8")))
    assert sorted(none.servers()) == [f"tcp {CLUSTER_IP}:80"]
    assert none.elements("KUBE-NODE-PORT-TCP") == []


def test_an_external_ip_is_bound_unless_the_node_has_it():
    bed = bed_of(spec(externalIPs=["50.60.70.81", ETH0]))
    assert sorted(bed.servers()) == [f"tcp {ETH0}:80", f"tcp {CLUSTER_IP}:80", "tcp 50.60.70.81:80"]
    assert sorted(bed.node.bound_addresses()) == [CLUSTER_IP, "50.60.70.81"]
    assert bed.elements("KUBE-IPVS-IPS") == [CLUSTER_IP, "50.60.70.81"]
    assert bed.elements("KUBE-EXTERNAL-IP") == [f"{ETH0},tcp:80", "50.60.70.81,tcp:80"]
    rules = bed.rules("nat", "KUBE-SERVICES")
    assert targets(rules)[2:] == [
        ("KUBE-MARK-MASQ", "KUBE-EXTERNAL-IP"),
        ("ACCEPT", "KUBE-EXTERNAL-IP"),
        ("ACCEPT", "KUBE-EXTERNAL-IP"),
        ("KUBE-NODE-PORT", ""),
        ("ACCEPT", "KUBE-CLUSTER-IP"),
    ]
    assert rules[3].endswith("dst,dst -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT")
    assert rules[4].endswith("dst,dst -m addrtype --dst-type LOCAL -j ACCEPT")


def test_an_external_ip_of_policy_local_keeps_the_source():
    bed = bed_of(spec(externalIPs=["50.60.70.81"], externalTrafficPolicy="Local"))
    assert bed.elements("KUBE-EXTERNAL-IP") == []
    assert bed.elements("KUBE-EXTERNAL-IP-LOCAL") == ["50.60.70.81,tcp:80"]
    assert bed.servers()["tcp 50.60.70.81:80"] == {"10.180.0.1:80": 1}
    assert targets(bed.rules("nat", "KUBE-SERVICES"))[1:4] == [
        ("KUBE-MARK-MASQ", "KUBE-CLUSTER-IP"),
        ("ACCEPT", "KUBE-EXTERNAL-IP-LOCAL"),
        ("ACCEPT", "KUBE-EXTERNAL-IP-LOCAL"),
    ]


def test_a_load_balancer():
    bed = bed_of(spec(type="LoadBalancer"), "1.2.3.4")
    assert sorted(bed.servers()) == ["tcp 1.2.3.4:80", f"tcp {CLUSTER_IP}:80"]
    assert bed.elements("KUBE-LOAD-BALANCER") == ["1.2.3.4,tcp:80"]
    for name in ("LOCAL", "FW", "SOURCE-CIDR", "SOURCE-IP"):
        assert bed.elements(f"KUBE-LOAD-BALANCER-{name}") == []
    assert targets(bed.rules("nat", "KUBE-SERVICES")) == [
        ("RETURN", ""),
        ("KUBE-LOAD-BALANCER", "KUBE-LOAD-BALANCER"),
        ("KUBE-MARK-MASQ", "KUBE-CLUSTER-IP"),
        ("KUBE-NODE-PORT", ""),
        ("ACCEPT", "KUBE-CLUSTER-IP"),
        ("ACCEPT", "KUBE-LOAD-BALANCER"),
    ]


def test_a_load_balancer_of_policy_local():
    bed = bed_of(
        spec(type="LoadBalancer", node_port=3001, externalTrafficPolicy="Local", healthCheckNodePort=3900), "1.2.3.4"
    )
    assert bed.servers()["tcp 1.2.3.4:80"] == {"10.180.0.1:80": 1}
    assert bed.elements("KUBE-LOAD-BALANCER") == bed.elements("KUBE-LOAD-BALANCER-LOCAL") == ["1.2.3.4,tcp:80"]
    assert bed.elements("KUBE-HEALTH-CHECK-NODE-PORT") == ["3900"]
    assert targets(bed.rules("nat", "KUBE-LOAD-BALANCER")) == [
        ("RETURN", "KUBE-LOAD-BALANCER-LOCAL"),
        ("KUBE-MARK-MASQ", ""),
    ]


def test_source_ranges_that_hold_the_node():
    given = spec(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8", " 172.18.0.2/32", "192.168.7.9/24"])
    bed = bed_of(given, "1.2.3.4")
    assert bed.elements("KUBE-LOAD-BALANCER-FW") == ["1.2.3.4,tcp:80"]
    assert bed.elements("KUBE-LOAD-BALANCER-SOURCE-IP") == ["1.2.3.4,tcp:80,1.2.3.4"]
    assert bed.elements("KUBE-LOAD-BALANCER-SOURCE-CIDR") == [
        "1.2.3.4,tcp:80,10.0.0.0/8",
        "1.2.3.4,tcp:80,172.18.0.2",
        "1.2.3.4,tcp:80,192.168.7.0/24",
    ]
    assert targets(bed.rules("filter", "KUBE-PROXY-FIREWALL")) == [
        ("KUBE-SOURCE-RANGES-FIREWALL", "KUBE-LOAD-BALANCER-FW")
    ]
    rules = bed.rules("filter", "KUBE-SOURCE-RANGES-FIREWALL")
    assert targets(rules) == [
        ("RETURN", "KUBE-LOAD-BALANCER-SOURCE-CIDR"),
        ("RETURN", "KUBE-LOAD-BALANCER-SOURCE-IP"),
        ("DROP", ""),
    ]
    assert all(" dst,dst,src " in rule for rule in rules[:2])
    assert bed.rules("filter", "KUBE-IPVS-OUT-FILTER") == []


def test_source_ranges_without_the_node_keep_its_own_packets_out():
    given = spec(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8"])
    bed = Bed().put(service(given, "5.6.7.9", "1.2.3.4"))
    lines = bed.sync().iptables.splitlines()
    assert [line for line in lines if line.startswith("-A KUBE-IPVS-OUT-FILTER")] == [
        f"-A KUBE-IPVS-OUT-FILTER -s {ip} -m ipvs --vaddr {ip} --vproto tcp --vport 80 -j DROP"
        for ip in ("1.2.3.4", "5.6.7.9")
    ]
    assert bed.rules("filter", "KUBE-IPVS-OUT-FILTER") == [
        f"-s {ip}/32 -m ipvs --vproto 6 --vaddr {ip} --vport 80 -j DROP" for ip in ("1.2.3.4", "5.6.7.9")
    ]


def test_a_source_range_of_everybody_is_none():
    bed = bed_of(spec(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8", "0.0.0.0/0"]), "1.2.3.4")
    assert bed.elements("KUBE-LOAD-BALANCER-FW") == []


def test_policy_local_without_a_local_endpoint_falls_back_to_all():
    bed = Bed().put(
        service(spec(type="NodePort", node_port=3001, externalTrafficPolicy="Local", internalTrafficPolicy="Local")),
        slice_of(("10.180.1.1", "node-b")),
    )
    bed.sync()
    assert set(map(str, bed.servers().values())) == {"{'10.180.1.1:80': 1}"}
    alone = Bed().put(service(spec(internalTrafficPolicy="Local")), slice_of(("10.180.1.1", "node-b")))
    alone.sync()
    assert alone.servers() == {f"tcp {CLUSTER_IP}:80": {}}  # nothing leads to other nodes, so none are chosen there


@pytest.mark.parametrize(
    ("conditions", "weights"),
    [
        ({"ready": True}, {"10.180.0.1:80": 1, "10.180.1.1:80": 1}),
        ({"ready": False, "serving": True, "terminating": True}, {"10.180.0.1:80": 1, "10.180.1.1:80": 1}),
        ({"ready": False, "serving": False, "terminating": True}, {}),
        ({"ready": False}, {}),
    ],
)
def test_conditions(conditions: dict[str, bool], weights: dict[str, int]):
    conditions = {"serving": conditions["ready"], "terminating": False, **conditions}
    bed = Bed().put(service(spec()), slice_of(*BOTH, **conditions))
    bed.sync()
    assert bed.servers() == {f"tcp {CLUSTER_IP}:80": weights}
    assert bed.elements("KUBE-LOOP-BACK") == ["10.180.0.1,tcp:80,10.180.0.1"]  # ready or not


def test_affinity_and_schedulers():
    affinity = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}
    given = spec(type="NodePort", node_port=3001, externalIPs=["50.60.70.81"], **affinity)
    said = bed_of(given, settings=ProxySettings(ipvs_scheduler="mh")).node.said
    assert [line for line in said if line.startswith("-A")] == [
        f"-A -t {where} -s mh -p 10800 -b mh-port"
        for where in (f"{CLUSTER_IP}:80", "50.60.70.81:80", f"{BRIDGE_ADDRESS}:3001", f"{ETH0}:3001")
    ]
    plain = bed_of(spec(), settings=ProxySettings(ipvs_scheduler="lc")).node.said
    assert plain == [
        f"-A -t {CLUSTER_IP}:80 -s lc",
        f"-a -t {CLUSTER_IP}:80 -r 10.180.0.1:80 -m -w 1",
        f"-a -t {CLUSTER_IP}:80 -r 10.180.1.1:80 -m -w 1",
    ]


def test_the_mark_is_that_of_the_masquerade_bit():
    bed = bed_of(spec(), settings=ProxySettings(masquerade_bit=5))
    assert bed.rules("nat", "KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x20/0x20"]
    assert bed.rules("nat", "KUBE-POSTROUTING")[1] == "-m mark ! --mark 0x20/0x20 -j RETURN"


def test_the_link_is_a_dummy_that_stays_down_and_is_local_all_the_same():
    bed = bed_of(spec())
    assert bed.link().kind == "dummy"
    assert not bed.link().up
    assert bed.node.netns.fib.is_local(int.from_bytes(bytes(map(int, CLUSTER_IP.split("."))), "big"))


def test_without_addresses_a_node_has_no_primary_one():
    given = service(spec(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8"]), "1.2.3.4")
    bed = Bed(node=msgspec.structs.replace(NODE, addresses=())).put(given)
    assert "-s 1.2.3.4 -m ipvs" in bed.proxy.sync(bed.services, 0.0).iptables
