"""IPVS mode: drawn histories come to what one sync would write."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kube.proxy.ipvs.counted import Counted
from emulator.kube.proxy.proxier import Writes
from tests.kube.proxy.ipvs_bed import Bed, service, slice_of

A, B = ("10.180.0.1", "node-a"), ("10.180.1.1", "node-b")

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
