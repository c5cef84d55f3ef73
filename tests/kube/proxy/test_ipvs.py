"""IPVS mode over time: syncs write what changed, a full sync mends what others broke."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.ipvs.ipvs import IpvsProxy
from emulator.kube.proxy.ipvs.node import FreshNode
from emulator.kube.proxy.ipvs.service import Frontend
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.settings import ProxySettings
from emulator.packet.address import ipv4_to_int
from tests.kube.proxy.ipvs_bed import NODE, Bed, ModelNode, service, slice_of, spec

VIP = Frontend("172.30.0.41", 80, "tcp")
A, B = ("10.180.0.1", "node-a"), ("10.180.1.1", "node-b")


def test_a_sync_writes_what_changed_and_no_more():
    bed = Bed().put(service(spec()), slice_of(A))
    bed.sync()
    assert bed.sync() == Writes()
    bed.put(service(spec()), slice_of(A, B))
    assert bed.sync() == Writes(ipvsadm="-a -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 1\n")
    bed.put(service(spec(clusterIP="172.30.0.42"), name="other"))
    writes = bed.sync()
    assert writes == Writes(
        dummy="kube-ipvs0",
        add_addresses=("172.30.0.42",),
        ipset="add KUBE-CLUSTER-IP 172.30.0.42,tcp:80\nadd KUBE-IPVS-IPS 172.30.0.42\n",
        ipvsadm="-A -t 172.30.0.42:80 -s rr\n",
    )
    bed.services.remove_service("ns1", "other")
    assert bed.sync() == Writes(
        dummy="kube-ipvs0",
        ipset="del KUBE-CLUSTER-IP 172.30.0.42,tcp:80\ndel KUBE-IPVS-IPS 172.30.0.42\n",
        ipvsadm="-D -t 172.30.0.42:80\n",
        remove_addresses=("172.30.0.42",),
    )


def test_only_the_table_whose_rules_change_is_written():
    bed = Bed().put(service(spec()), slice_of(B))
    bed.sync()
    bed.put(service(spec()), slice_of(A, B))
    text = bed.sync().iptables  # KUBE-LOOP-BACK has its first element
    assert text.startswith("*nat\n")
    assert text.count("COMMIT") == 1
    assert "-I " not in text  # the jumps are there


def test_a_virtual_server_changes_in_place():
    bed = Bed().put(service(spec()), slice_of(A))
    bed.sync()
    affinity = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    bed.put(service(spec(**affinity)))
    assert bed.sync().ipvsadm == "-E -t 172.30.0.41:80 -s rr -p 60\n"


def test_one_address_and_port_of_two_services_is_the_first_ones_by_name():
    shared = {"externalIPs": ["50.60.70.81"]}
    bed = Bed().put(service(spec(**shared), name="b"), slice_of(B, of="b"))
    bed.sync()
    assert bed.servers()["tcp 50.60.70.81:80"] == {"10.180.1.1:80": 1}
    bed.put(service(spec(**shared, clusterIP="172.30.0.42"), name="a"), slice_of(A, of="a"))
    bed.sync()
    assert bed.servers()["tcp 50.60.70.81:80"] == {"10.180.0.1:80": 1}
    bed.services.remove_service("ns1", "a")
    bed.sync()
    assert bed.servers()["tcp 50.60.70.81:80"] == {"10.180.1.1:80": 1}
    assert bed.elements("KUBE-EXTERNAL-IP") == ["50.60.70.81,tcp:80"]


def everything() -> Bed:
    """A bed with a Service that uses every set."""
    given = spec(type="LoadBalancer", node_port=3001, externalTrafficPolicy="Local", healthCheckNodePort=3900)
    given |= {"externalIPs": ["50.60.70.81"], "loadBalancerSourceRanges": ["172.18.0.0/16"]}
    bed = Bed().put(service(given, "1.2.3.4"), slice_of(A, B))
    bed.sync()
    return bed


def test_what_was_flushed_is_back_after_forget():
    bed = everything()
    netns = bed.node.netns
    whole = bed.node.state()
    netns.netfilter.restore("*nat\nCOMMIT\n*filter\nCOMMIT\n")
    netns.netfilter.sets.flush()
    bed.node.apply(Writes(ipvsadm="-C\n"))
    netns.remove_address(netns.links["kube-ipvs0"], ipv4_to_int("172.30.0.41"), 32)
    bed.proxy.forget()
    bed.sync()
    assert bed.node.state() == whole
    assert bed.sync(100.0) == Writes()
    netns.remove_link(netns.links["kube-ipvs0"])
    bed.proxy.forget()
    bed.sync()
    assert bed.node.state() == whole


def whole_address(bed: Bed) -> None:
    netns = bed.node.netns
    netns.remove_address(netns.links["kube-ipvs0"], ipv4_to_int("172.30.0.41"), 32)


@pytest.mark.parametrize(
    "harm",
    [
        lambda bed: bed.node.apply(Writes(ipvsadm="-C\n")),
        lambda bed: bed.node.apply(Writes(ipvsadm="-D -t 172.30.0.41:80\n")),
        lambda bed: bed.node.netns.netfilter.sets.flush("KUBE-CLUSTER-IP"),
        lambda bed: bed.node.netns.netfilter.restore("*nat\nCOMMIT\n"),
        lambda bed: bed.node.netns.netfilter.restore("*filter\nCOMMIT\n"),
        lambda bed: bed.node.netns.netfilter.restore("*filter\n:KUBE-FORWARD -\nCOMMIT\n", noflush=True),
        lambda bed: bed.node.netns.netfilter.restore("*nat\n-F OUTPUT\nCOMMIT\n", noflush=True),
        lambda bed: bed.node.netns.remove_link(bed.link()),
        whole_address,
    ],
)
def test_what_somebody_takes_away_is_back_within_half_a_minute(harm: Callable[[Bed], None]):
    bed = everything()
    whole = bed.node.state()
    assert bed.sync(30.0) == Writes()
    harm(bed)
    assert bed.sync(59.0) == Writes()
    assert bed.proxy.next_sync() == 60.0
    assert bed.sync(60.0) != Writes()
    assert bed.node.state() == whole
    assert bed.sync(90.0) == Writes()


def test_forget_on_a_node_as_it_should_be_changes_nothing():
    bed = everything()
    whole = bed.node.state()
    bed.proxy.forget()
    writes = bed.sync()
    assert bed.node.state() == whole  # no jump stands there twice
    assert (writes.add_addresses, writes.remove_addresses, writes.ipvsadm) == ((), (), "")


def test_what_others_made_goes_unless_it_is_excluded():
    bed = Bed(ProxySettings(ipvs_exclude_cidrs=("9.9.0.0/16",)))
    bed.node.apply(Writes(ipvsadm="-A -t 9.9.1.1:80 -s rr\n-A -t 8.8.8.8:80 -s rr\n"))
    assert bed.sync().ipvsadm == "-D -t 8.8.8.8:80\n"
    bed.put(service(spec(externalIPs=["9.9.1.1"])), slice_of(A))
    assert "-A -t 9.9.1.1" not in bed.sync().ipvsadm  # it is there
    bed.services.remove_service("ns1", "svc1")
    bed.sync()
    assert [*bed.servers()] == ["tcp 9.9.1.1:80"]


def test_a_new_address_of_the_node_takes_node_ports_and_is_no_longer_bound():
    bed = everything()
    netns = bed.node.netns
    netns.add_address(netns.links["cbr0"], ipv4_to_int("50.60.70.81"), 32)
    writes = bed.sync()
    assert writes.remove_addresses == ("50.60.70.81",)
    assert "-A -t 50.60.70.81:3001 -s rr" in writes.ipvsadm
    netns.remove_address(netns.links["cbr0"], ipv4_to_int("50.60.70.81"), 32)
    assert bed.sync().add_addresses == ("50.60.70.81",)


def test_cleanup_takes_all_of_it_away():
    bed = Bed()
    before = bed.node.state()
    assert bed.proxy.cleanup() == Writes()
    bed = everything()
    netns = bed.node.netns
    netns.netfilter.restore("*filter\n-A INPUT -s 6.6.6.6 -j DROP\nCOMMIT\n", noflush=True)
    bed.node.apply(bed.proxy.cleanup())
    after = bed.node.state()
    rules = [line for line in after.pop("iptables") if line.startswith(("-A", ":KUBE"))]
    assert rules == ["-A INPUT -s 6.6.6.6/32 -j DROP"]
    assert after == {key: value for key, value in before.items() if key != "iptables"}
    assert "kube-ipvs0" not in netns.links
    assert netns.netfilter.sets.save() == ""
    bed.sync()  # and it can begin anew
    assert bed.elements("KUBE-CLUSTER-IP") == ["172.30.0.41,tcp:80"]


def test_rendering_needs_no_node():
    bed = everything()
    writes = IpvsProxy(NODE, ProxySettings(), FreshNode(NODE)).sync(bed.services, 0.0)
    node = ModelNode()
    for link in ("eth0", "cbr0"):
        node.netns.remove_link(node.netns.links[link])
    node.apply(writes)
    assert "-A -t 172.18.0.2:3001 -s rr" in node.said
    assert "-A -t 10.244.0.1:3001 -s rr" not in node.said


def test_apply_makes_the_link_once_and_removes_it():
    node = ModelNode()
    apply_writes(node.netns, Writes(dummy="kube-ipvs0", add_addresses=("10.96.0.1",)))
    link = node.netns.links["kube-ipvs0"]
    apply_writes(node.netns, Writes(dummy="kube-ipvs0", add_addresses=("10.96.0.2",), remove_addresses=("10.96.0.1",)))
    assert node.netns.links["kube-ipvs0"] is link
    assert node.bound_addresses() == ["10.96.0.2"]
    for _ in range(2):
        apply_writes(node.netns, Writes(dummy="kube-ipvs0", remove_dummy=True))
        assert "kube-ipvs0" not in node.netns.links
