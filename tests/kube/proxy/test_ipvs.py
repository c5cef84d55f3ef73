"""IPVS mode over time: syncs write what changed, real servers go gracefully, a full sync mends what others broke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.ipvs import IpvsProxy
from emulator.kube.proxy.ipvs_counted import Counted
from emulator.kube.proxy.ipvs_node import FreshNode
from emulator.kube.proxy.ipvs_service import Frontend
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


class TestGracefulTermination:
    """The clock starts at 0 with the first sync, so real servers that wait are looked at each full minute."""

    @pytest.fixture
    def bed(self) -> Bed:
        bed = Bed().put(service(spec()), slice_of(A, B))
        bed.sync(0.0)
        return bed

    def leave(self, bed: Bed, connections: tuple[int, int], now: float = 10.0) -> Writes:
        """Have B go while it has connections."""
        bed.node.connected[VIP, "10.180.1.1:80"] = connections
        bed.put(service(spec()), slice_of(A))
        return bed.sync(now)

    def test_without_connections_it_goes_at_once(self, bed: Bed):
        assert self.leave(bed, (0, 0)).ipvsadm == "-d -t 172.30.0.41:80 -r 10.180.1.1:80\n"
        assert bed.sync(59.0) == Writes()
        assert bed.proxy.next_sync() == 89.0  # only to see whether all is still there

    @pytest.mark.parametrize("connections", [(1, 0), (0, 1)])
    def test_with_connections_it_waits_for_their_end(self, bed: Bed, connections: tuple[int, int]):
        assert self.leave(bed, connections).ipvsadm == "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 0\n"
        assert bed.sync(59.9) == Writes()
        assert bed.proxy.next_sync() == 60.0
        assert bed.sync(60.0) == Writes()
        bed.node.connected.clear()
        assert bed.sync(100.0) == Writes()  # not before its time
        assert bed.proxy.next_sync() == 120.0
        assert bed.sync(200.0).ipvsadm == "-d -t 172.30.0.41:80 -r 10.180.1.1:80\n"
        assert bed.proxy.next_sync() == 230.0
        assert bed.servers() == {"tcp 172.30.0.41:80": {"10.180.0.1:80": 1}}

    def test_one_that_comes_back_is_deleted_and_added_again(self, bed: Bed):
        self.leave(bed, (1, 0))
        bed.put(service(spec()), slice_of(A, B))
        assert bed.sync(20.0).ipvsadm.splitlines() == [
            "-d -t 172.30.0.41:80 -r 10.180.1.1:80",
            "-a -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 1",
        ]
        assert bed.sync(60.0) == Writes()

    def test_it_goes_with_its_virtual_server(self, bed: Bed):
        self.leave(bed, (1, 0))
        bed.services.remove_service("ns1", "svc1")
        assert bed.sync(20.0).ipvsadm == "-D -t 172.30.0.41:80\n"
        assert bed.sync(60.0) == Writes()

    def test_each_virtual_server_waits_for_itself(self, bed: Bed):
        bed.put(service(spec(externalIPs=["50.60.70.81"])))
        bed.sync(1.0)
        bed.node.connected[VIP, "10.180.1.1:80"] = (1, 0)
        bed.services.put_slice(slice_of(A))
        assert bed.sync(10.0).ipvsadm.splitlines() == [
            "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 0",
            "-d -t 50.60.70.81:80 -r 10.180.1.1:80",
        ]

    def test_a_new_kube_proxy_finds_what_an_old_one_left(self, bed: Bed):
        self.leave(bed, (1, 0))
        bed.proxy = IpvsProxy(NODE, ProxySettings(), bed.node)
        writes = bed.sync(30.0)
        assert writes.ipvsadm == "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 0\n"
        bed.proxy.forget()
        assert bed.proxy.next_sync() is None  # whoever makes it forget says when
        bed.put(service(spec()), slice_of(A, B))
        assert bed.sync(40.0).ipvsadm == "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 1\n"


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_udp_and_sctp_go_at_once(protocol: str):
    bed = Bed().put(service(spec(protocol=protocol)), slice_of(A, B, protocol=protocol))
    bed.sync()
    bed.node.connected[Frontend("172.30.0.41", 80, protocol.lower()), "10.180.1.1:80"] = (3, 4)
    bed.put(service(spec(protocol=protocol)), slice_of(A, protocol=protocol))
    assert bed.sync().ipvsadm.startswith("-d ")


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


VALUES = st.lists(st.tuples(st.sampled_from("+-?"), st.integers(0, 3)), max_size=40)


@given(st.sets(st.integers(0, 3)), VALUES)
def test_counted_tells_the_difference_to_the_node(present: set[int], steps: list[tuple[str, int]]):
    counted = Counted(sorted(present))
    node, counts = set(present), dict.fromkeys(range(4), 0)
    for step, value in [*steps, ("?", 0)]:
        if step == "+":
            counted.add(value)
            counts[value] += 1
        elif step == "-" and counts[value]:
            counted.discard(value)
            counts[value] -= 1
        elif step == "?":
            lacking, beyond = counted.take_changes()
            assert not node & set(lacking)
            assert node >= set(beyond)
            node = (node | set(lacking)) - set(beyond)
            assert node == {each for each, count in counts.items() if count}


SPECS = st.builds(
    lambda index, kind, port, external, internal, ips, ingress, ranges, affinity, protocol: (
        {
            "clusterIP": f"172.30.0.{index}",
            "type": kind,
            "externalTrafficPolicy": external,
            "internalTrafficPolicy": internal,
            "externalIPs": sorted(ips),
            "loadBalancerSourceRanges": sorted(ranges),
            "sessionAffinity": "ClientIP" if affinity else "None",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": affinity}},
            "healthCheckNodePort": 32000,
            "ports": [
                {"name": "p80", "port": 80, "protocol": protocol, "nodePort": 0 if kind == "ClusterIP" else port}
            ],
        },
        sorted(ingress),
    ),
    st.integers(1, 3),
    st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
    st.integers(30000, 30002),
    st.sampled_from(["Cluster", "Local"]),
    st.sampled_from(["Cluster", "Local"]),
    st.sets(st.sampled_from(["50.60.70.81", "50.60.70.82", "172.18.0.2"])),
    st.sets(st.sampled_from(["1.2.3.4", "50.60.70.81"])),
    st.sets(st.sampled_from(["172.18.0.0/16", "10.0.0.0/8"])),
    st.sampled_from([0, 60]),
    st.sampled_from(["TCP", "UDP", "SCTP"]),
)
NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("service"), NAMES, SPECS),
        st.tuples(st.just("no service"), NAMES, st.none()),
        st.tuples(
            st.just("slice"),
            NAMES,
            st.tuples(st.sets(st.sampled_from([A, B, ("10.180.0.2", "node-a")])), st.booleans(), st.booleans()),
        ),
        st.tuples(st.just("no slice"), NAMES, st.none()),
        st.tuples(st.just("connections"), NAMES, st.booleans()),
        st.tuples(st.just("time"), NAMES, st.sampled_from([1.0, 60.0])),
        st.tuples(st.just("forget"), NAMES, st.none()),
        st.tuples(st.just("sync"), NAMES, st.none()),
    ),
    min_size=1,
    max_size=25,
)


def step(bed: Bed, kind: str, name: str, value: Any, now: float) -> float:
    if kind == "service":
        given, ingress = value
        bed.services.put_service(service(given, *ingress, name=name))
    elif kind == "no service":
        bed.services.remove_service("ns1", name)
    elif kind == "slice":
        endpoints, ready, terminating = value
        conditions = {"ready": ready, "serving": ready or terminating, "terminating": terminating}
        bed.services.put_slice(slice_of(*sorted(endpoints), of=name, **conditions))
    elif kind == "no slice":
        bed.services.remove_slice("ns1", f"{name}-x")
    elif kind == "connections":
        pairs = [(key, backend) for key, (_, weights) in bed.node.virtual.items() for backend in weights]
        bed.node.connected = dict.fromkeys(pairs, (1, 1)) if value else {}
    elif kind == "forget":
        bed.proxy.forget()
    elif kind == "sync":
        bed.sync(now)
    return now + value if kind == "time" else now


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_any_number_of_syncs_comes_to_what_one_would_write(steps: list[tuple[str, str, Any]]):
    bed = Bed()
    now = 0.0
    for kind, name, value in steps:
        now = step(bed, kind, name, value, now)
    bed.sync(now)
    leaving = {
        (frontend, backend)
        for frontend, (_, weights) in bed.node.virtual.items()
        for backend, weight in weights.items()
        if weight == 0
    }
    again = bed.proxy.next_sync()
    assert again is not None
    assert now < again <= now + (60.0 if leaving else 30.0)
    bed.node.connected.clear()
    bed.sync(now + 120.0)
    fresh = Bed()
    fresh.services = bed.services
    fresh.sync()
    assert bed.node.state() == fresh.node.state()
    assert bed.sync(now + 240.0) == Writes()
