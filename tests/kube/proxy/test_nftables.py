"""nftables mode as text, held against facts in kube-proxy's own tests (pkg/proxy/nftables/proxier_test.go, v1.35)."""

from __future__ import annotations

from msgspec.structs import replace

from emulator.kube.proxy.nftables import names
from emulator.kube.proxy.service_port import Endpoint, ServicePortName
from emulator.kube.proxy.settings import ProxySettings

from .nftables_cases import NODE, SETTINGS, commands, elements, endpoints, rules, service, text

SVC1 = "service-ULMVA6XW-ns1/svc1/tcp/p80"
EXT1 = "external-ULMVA6XW-ns1/svc1/tcp/p80"
LOCAL1 = "local-ULMVA6XW-ns1/svc1/tcp/p80"
FIREWALL1 = "firewall-ULMVA6XW-ns1/svc1/tcp/p80"
END1 = "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"
MARK = "jump mark-for-masquerade"
FROM_OUTSIDE = f"ip daddr 172.30.0.41 ip saddr != 10.0.0.0/8 {MARK}"


def test_names_are_kube_proxys() -> None:
    def hashes(name: str) -> list[str]:
        return [names.cluster_policy_chain(ServicePortName(f"ns{n}", f"svc{n}", name, "TCP")).split("-")[1] for n in
                (1, 2, 3, 4, 5)]  # fmt: skip

    assert hashes("p80") == ["ULMVA6XW", "42NFTM6N", "4AT6LBPK", "LAUZTJTB", "HVFWP5L3"]
    port = ServicePortName("ns4", "svc4", "p80", "TCP")
    assert names.endpoint_chain(port, Endpoint("10.180.0.4", 80)) == "endpoint-UNZV3OEC-ns4/svc4/tcp/p80__10.180.0.4/80"
    assert names.affinity_set(port, Endpoint("10.180.0.5", 80)) == "affinity-5RFCDDV7-ns4/svc4/tcp/p80__10.180.0.5/80"
    assert names.cluster_policy_chain(ServicePortName("a", "b", "", "UDP")).endswith("-a/b/udp/")


def test_long_names_are_cut_and_colons_are_dots() -> None:
    port = ServicePortName("n" * 63, "s" * 63, "p" * 63, "SCTP")
    assert len(names.external_chain(port)) == len("external-") + 205  # without an endpoint nothing is ever cut
    name = names.endpoint_chain(port, Endpoint("fd00:1234:5678:9abc:def0:1234:5678:9abc", 65535))
    assert len(name) == len("endpoint-") + 240
    assert name.endswith("__fd00.1234.5678.9abc.def0.1234....")


def test_base_chains_and_where_they_lead() -> None:
    script = text()
    base = [line for line in commands(script, "add", "chain") if "hook" in line]
    assert base == [
        "filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }",
        "filter-output-pre-dnat { type filter hook output priority -110 ; }",
        "filter-input { type filter hook input priority 0 ; }",
        "filter-forward { type filter hook forward priority 0 ; }",
        "filter-output { type filter hook output priority 0 ; }",
        "nat-prerouting { type nat hook prerouting priority -100 ; }",
        "nat-output { type nat hook output priority -100 ; }",
        "nat-postrouting { type nat hook postrouting priority 100 ; }",
    ]
    new = "ct state new jump"
    assert rules(script, "filter-input") == [f"{new} nodeport-endpoints-check", f"{new} service-endpoints-check"]
    for chain in ("filter-forward", "filter-output"):
        assert rules(script, chain) == [f"{new} service-endpoints-check", f"{new} cluster-ips-check"]
    for chain in ("filter-prerouting-pre-dnat", "filter-output-pre-dnat"):
        assert rules(script, chain) == [f"{new} firewall-check"]
    for chain in ("nat-prerouting", "nat-output"):
        assert rules(script, chain) == ["jump services"]
    assert rules(script, "nat-postrouting") == ["jump masquerading"]


def test_fixed_chains_of_the_table() -> None:
    script = text()
    destination = "ip daddr . meta l4proto . th dport vmap"
    port = "ip daddr @nodeport-ips meta l4proto . th dport vmap"
    assert rules(script, "services") == [f"{destination} @service-ips", f"{port} @service-nodeports"]
    assert rules(script, "service-endpoints-check") == [f"{destination} @no-endpoint-services"]
    assert rules(script, "nodeport-endpoints-check") == [f"{port} @no-endpoint-nodeports"]
    assert rules(script, "firewall-check") == [f"{destination} @firewall-ips"]
    assert rules(script, "reject-chain") == ["reject"]
    assert rules(script, "mark-for-masquerade") == ["mark set mark or 0x004000"]
    assert rules(script, "masquerading") == [
        "mark and 0x004000 == 0 return",
        "mark set mark xor 0x004000",
        "masquerade fully-random",
    ]
    assert rules(script, "cluster-ips-check") == [
        'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
        'ip daddr { 172.30.0.0/16 } drop comment "Drop traffic to unallocated ClusterIPs"',
    ]


def test_addresses_outside_any_service_cidr_are_nobodys() -> None:
    without = text(settings=ProxySettings(masquerade_bit=15))
    assert [rule.split()[-1] for rule in rules(without, "cluster-ips-check")] == ['ClusterIPs"']
    assert rules(without, "mark-for-masquerade") == ["mark set mark or 0x008000"]
    several = text(settings=ProxySettings(service_cidrs=("172.30.0.0/16", "fd00::/112", "10.96.0.0/12")))
    assert rules(several, "cluster-ips-check")[1].startswith("ip daddr { 172.30.0.0/16,10.96.0.0/12 } drop")


def test_node_ports_are_the_primary_addresses_unless_networks_say_more() -> None:
    def of(*networks: str) -> list[str]:
        return elements(text(settings=replace(SETTINGS, node_port_addresses=networks)), "nodeport-ips")

    assert of() == of("primary") == ["192.168.0.2"]
    assert of("192.168.0.0/24", "192.168.1.0/24", "2001:db8::/64") == ["192.168.0.2", "192.168.1.2"]
    assert of("192.168.1.0/24") == ["192.168.1.2"]
    assert of("127.0.0.0/8") == []


def test_node_ports_of_all_addresses_but_loopback() -> None:
    for networks in (("0.0.0.0/0",), ("192.168.1.0/24", "0.0.0.0/0"), ("2001:db8::/64",)):
        script = text(settings=replace(SETTINGS, node_port_addresses=networks))
        assert commands(script, "delete", "set") == ["nodeport-ips"]
        port = "ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap"
        assert rules(script, "services")[1] == f"fib daddr type local {port} @service-nodeports"
        assert rules(script, "nodeport-endpoints-check") == [f"{port} @no-endpoint-nodeports"]


def test_a_cluster_ip() -> None:
    script = text(service(1), endpoints(1, "10.180.0.1"))
    assert rules(script, SVC1) == [FROM_OUTSIDE, f"numgen random mod 1 vmap {{ 0 : goto {END1} }}"]
    assert rules(script, END1) == [f"ip saddr 10.180.0.1 {MARK}", "meta l4proto tcp dnat to 10.180.0.1:80"]
    assert elements(script, "cluster-ips") == ["172.30.0.41"]
    assert elements(script, "service-ips") == [f"172.30.0.41 . tcp . 80 : goto {SVC1}"]


def test_who_is_masqueraded_on_the_way_to_a_cluster_ip() -> None:
    objects = (service(1), endpoints(1, "10.180.0.1"))
    every = text(*objects, settings=replace(SETTINGS, masquerade_all=True))
    assert rules(every, SVC1)[0] == f"ip daddr 172.30.0.41 {MARK}"
    none = text(*objects, settings=replace(SETTINGS, detect_local=False))
    assert rules(none, SVC1)[0].startswith("numgen")


def test_endpoints_are_chosen_evenly_in_lexical_order() -> None:
    script = text(service(1), endpoints(1, "10.0.0.9", "10.0.0.10", "10.0.0.2"))
    choice = rules(script, SVC1)[-1]
    assert choice.startswith("numgen random mod 3 vmap { 0 : goto endpoint-")
    assert [part.rpartition("__")[2] for part in choice.removesuffix(" }").split(" , ")] == [
        "10.0.0.10/80",
        "10.0.0.2/80",
        "10.0.0.9/80",
    ]


def test_a_load_balancer_of_policy_local_whose_endpoint_is_elsewhere() -> None:
    balancer = service(
        1, type="LoadBalancer", externalTrafficPolicy="Local", externalIPs=["192.168.99.22"], node_port=3001,
        ingress=["1.2.3.4"], healthCheckNodePort=30000,
    )  # fmt: skip
    script = text(balancer, endpoints(1, "10.180.0.1@node-b"))
    assert rules(script, EXT1) == [
        f'ip saddr 10.0.0.0/8 goto {SVC1} comment "short-circuit pod traffic"',
        f'fib saddr type local {MARK} comment "masquerade local traffic"',
        f'fib saddr type local goto {SVC1} comment "short-circuit local traffic"',
    ]
    assert elements(script, "service-ips") == [
        f"1.2.3.4 . tcp . 80 : goto {EXT1}",
        f"172.30.0.41 . tcp . 80 : goto {SVC1}",
        f"192.168.99.22 . tcp . 80 : goto {EXT1}",
    ]
    assert elements(script, "service-nodeports") == [f"tcp . 3001 : goto {EXT1}"]
    assert elements(script, "no-endpoint-nodeports") == ['tcp . 3001 comment "ns1/svc1:p80" : drop']
    assert elements(script, "no-endpoint-services") == [
        '1.2.3.4 . tcp . 80 comment "ns1/svc1:p80" : drop',
        '192.168.99.22 . tcp . 80 comment "ns1/svc1:p80" : drop',
    ]
    assert "30000" not in script  # nothing here lets health checks in, since nothing keeps them out
    assert rules(text(balancer, endpoints(1, "10.180.0.1@node-a")), EXT1)[-1] == f"goto {LOCAL1}"


def test_policy_cluster_masquerades_what_comes_from_outside() -> None:
    script = text(service(1, type="NodePort", node_port=3003), endpoints(1, "10.180.0.1"))
    assert rules(script, EXT1) == [MARK, f"goto {SVC1}"]
    assert elements(script, "no-endpoint-nodeports") == []


def test_internal_policy_local_keeps_to_the_clusters_address() -> None:
    spec = service(1, type="NodePort", internalTrafficPolicy="Local", node_port=3003)
    here = text(spec, endpoints(1, "10.180.0.1@node-a", "10.180.1.1@node-b"))
    assert rules(here, LOCAL1) == [FROM_OUTSIDE, f"numgen random mod 1 vmap {{ 0 : goto {END1} }}"]
    assert len(rules(here, SVC1)) == 1  # reached by the node port only
    assert elements(here, "service-ips") == [f"172.30.0.41 . tcp . 80 : goto {LOCAL1}"]
    elsewhere = text(spec, endpoints(1, "10.180.1.1@node-b"))
    assert elements(elsewhere, "no-endpoint-services") == ['172.30.0.41 . tcp . 80 comment "ns1/svc1:p80" : drop']
    assert elements(elsewhere, "service-nodeports") == [f"tcp . 3003 : goto {EXT1}"]


def test_nothing_behind_a_service_is_a_reject() -> None:
    script = text(service(1, type="LoadBalancer", externalIPs=["192.168.99.11"], node_port=3001, ingress=["1.2.3.4"]))
    refusal = 'comment "ns1/svc1:p80" : goto reject-chain'
    assert elements(script, "no-endpoint-services") == [
        f"{address} . tcp . 80 {refusal}" for address in ("1.2.3.4", "172.30.0.41", "192.168.99.11")
    ]
    assert elements(script, "no-endpoint-nodeports") == [f"tcp . 3001 {refusal}"]
    assert elements(script, "cluster-ips") == ["172.30.0.41"]
    assert "/svc1/" not in "".join(commands(script, "add", "chain"))


def test_source_ranges_are_a_firewall_before_dnat() -> None:
    def script(*ranges: str, **more: str) -> str:
        balancer = service(1, type="LoadBalancer", ingress=["5.6.7.8"], node_port=3002, loadBalancerSourceRanges=ranges)
        return text(balancer, endpoints(1, "10.180.0.1"), **more)  # type: ignore[arg-type]

    outside = script("203.0.113.0/25", " 198.51.100.0/24")
    assert rules(outside, FIREWALL1) == ["ip saddr != { 203.0.113.0/25 , 198.51.100.0/24 } drop"]
    assert elements(outside, "firewall-ips") == [f"5.6.7.8 . tcp . 80 : goto {FIREWALL1}"]
    # The node itself is let in by the balancer's address, if its own is among the ranges.
    assert rules(script("192.168.0.0/24"), FIREWALL1) == ["ip saddr != { 192.168.0.0/24 , 5.6.7.8 } drop"]
    assert rules(script("192.168.1.0/24"), FIREWALL1) == ["ip saddr != { 192.168.1.0/24 } drop"]
    assert "firewall-U" not in script("0.0.0.0/0", "203.0.113.0/25")


def test_a_firewall_needs_no_endpoints() -> None:
    balancer = service(1, type="LoadBalancer", ingress=["5.6.7.8"], loadBalancerSourceRanges=["203.0.113.0/25"])
    script = text(balancer)
    assert elements(script, "firewall-ips") == [f"5.6.7.8 . tcp . 80 : goto {FIREWALL1}"]
    assert elements(script, "service-ips") == []


def test_affinity_has_a_set_for_each_endpoint() -> None:
    sticky = service(1, sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    script = text(sticky, endpoints(1, "10.180.0.1", "10.180.0.2"))
    first, second = (line.partition(" ") for line in commands(script, "add", "set")[-2:])
    assert first[0] == "affinity-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"
    assert first[2] == "{ type ipv4_addr ; flags dynamic,timeout ; timeout 10800s ; }"
    assert rules(script, END1) == [
        f"ip saddr 10.180.0.1 {MARK}",
        f"update @{first[0]} {{ ip saddr }}",
        "meta l4proto tcp dnat to 10.180.0.1:80",
    ]
    assert rules(script, SVC1)[1:3] == [
        f"ip saddr @{first[0]} goto {END1}",
        f"ip saddr @{second[0]} goto {second[0].replace('affinity', 'endpoint')}",
    ]


def test_two_services_of_one_external_address_do_not_clash() -> None:
    objects = [service(n, externalIPs=["9.9.9.9"]) for n in (2, 1)] + [endpoints(n, "10.180.0.1") for n in (1, 2)]
    taken = [line for line in elements(text(*objects), "service-ips") if line.startswith("9.9.9.9")]
    assert taken == [f"9.9.9.9 . tcp . 80 : goto {EXT1}"]  # the first by name, as in iptables mode


def test_a_node_without_addresses_has_no_node_ports() -> None:
    script = text(service(1, type="NodePort", node_port=3003), node=replace(NODE, addresses=()))
    assert elements(script, "nodeport-ips") == []
