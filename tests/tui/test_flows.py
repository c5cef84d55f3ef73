from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from emulator.api.messages import FlowRecord, FlowsEvent, FlowVerdict
from emulator.api.objects import Node, Pod, Service, view
from tests.tui.records import Address, drop, flow
from tui.model.filter import Filter, parse
from tui.model.flow_filter import FIELDS, word
from tui.model.flow_row import FlowRow, conntrack_line, flow_line
from tui.model.flows import FlowModel
from tui.model.names import Names

CLIENT, VIP, ENDPOINT, NODE_A = ("10.244.0.2", 43122), ("10.96.0.20", 80), ("10.244.1.3", 8080), ("172.18.0.2", 61000)


def pod(name: str, node: str, address: str, phase: str = "Running") -> Pod:
    status = {"podIP": address, "phase": phase}
    return view({"metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": node}, "status": status}, Pod)


def names() -> Names:
    result = Names()
    node = {"metadata": {"name": "node-a"}, "spec": {"podCIDR": "10.244.0.0/24"}}
    node["status"] = {
        "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}, {"type": "Hostname", "address": "x"}]
    }
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.20"}}
    pods = [pod("client", "node-a", "10.244.0.2"), pod("web-1", "node-b", "10.244.1.3")]
    result.update([view(node, Node)], pods, [view(service, Service)])
    return result


def model(*records: FlowRecord, limit: int = 100) -> FlowModel:
    result = FlowModel(names(), limit)
    for record in records:
        result.apply(record.node, FlowsEvent(changed=(record,)))
    return result


def only(flows: FlowModel) -> FlowRow:
    (row,) = flows.rows()
    return row


def test_records_before_and_after_nat_are_one_row_on_the_packets_way() -> None:
    masqueraded = flow("node-a", "root/1", CLIENT, VIP, to=ENDPOINT, by=NODE_A, packets=7, first_seen=50.0)
    received = flow("node-b", "root/1", NODE_A, ENDPOINT, packets=6, first_seen=51.0)
    for records in ((masqueraded, received), (received, masqueraded)):
        row = only(model(*records))
        assert row.source == "default/client:43122"
        assert row.destination == "default/svc/web:80"
        assert row.endpoint == "default/web-1:8080"
        assert row.nat == "10.244.0.2:43122 → 10.96.0.20:80 ⇒ 172.18.0.2:61000 → 10.244.1.3:8080"
        assert row.nodes == ("node-a", "node-b")
        assert (row.packets, row.first_seen, row.age(60.0)) == (9, 50.0, 10.0)


def test_nat_on_two_nodes_in_turn() -> None:
    outside, node_port, relayed = ("203.0.113.9", 5), ("172.18.0.2", 30080), ("10.0.0.7", 8)
    first = flow("node-a", "1", outside, node_port, to=relayed)
    second = flow("node-b", "1", outside, relayed, to=ENDPOINT)
    row = only(model(second, first))
    assert (row.source, row.destination, row.endpoint) == ("203.0.113.9:5", "node/node-a:30080", "default/web-1:8080")
    assert row.nodes == ("node-a", "node-b")


def test_without_nat_the_node_of_the_source_comes_first() -> None:
    records = [flow(node, "1", CLIENT, ENDPOINT, packets=n) for n, node in enumerate(("node-b", "node-a"))]
    row = only(model(*records))
    assert (row.nodes, row.packets, row.endpoint, row.nat) == (("node-a", "node-b"), 3, "", "")


def test_what_ended_a_flow_is_the_verdict_of_its_one_row() -> None:
    near = flow("node-a", "1", CLIENT, VIP, to=ENDPOINT)
    mute = {"to": ENDPOINT, "reply_packets": 0, "state": "SYN_SENT"}
    reset = {"to": ENDPOINT, "verdict": FlowVerdict.REFUSED, "reason": "TCP_RESET"}
    cases = [
        ((near,), ("FORWARDED", "")),
        ((flow("node-a", "1", CLIENT, VIP, **mute), drop("node-b", "2", CLIENT, ENDPOINT, "NETFILTER_DROP")),
         ("DROPPED", "NETFILTER_DROP")),
        ((flow("node-a", "1", CLIENT, VIP, **reset), drop("node-b", "2", CLIENT, ENDPOINT, "NO_SOCKET")),
         ("REFUSED", "NO_SOCKET")),
        ((flow("node-a", "1", CLIENT, VIP, **reset), flow("node-b", "2", CLIENT, ENDPOINT, **mute)),
         ("REFUSED", "TCP_RESET")),
        ((drop("node-a", "1", CLIENT, VIP, "NETFILTER_REJECT"),), ("REJECTED", "NETFILTER_REJECT")),
    ]  # fmt: skip
    for records, outcome in cases:
        for told in (records, records[::-1]):
            row = only(model(*told))
            assert (row.verdict, row.reason) == outcome
            assert row.destination == "default/svc/web:80"


def test_counters_change_in_place_and_ends_split_rows() -> None:
    flows = model(flow("node-a", "1", CLIENT, VIP, to=ENDPOINT), flow("node-b", "1", CLIENT, ENDPOINT))
    row = only(flows)
    flows.apply(
        "node-a", FlowsEvent(changed=(flow("node-a", "1", CLIENT, VIP, to=ENDPOINT, packets=40, state="CLOSE"),))
    )
    assert only(flows) is row
    assert (row.packets, row.state) == (42, "CLOSE")
    flows.apply("node-a", FlowsEvent(ended=("1",)))
    assert (only(flows).destination, only(flows).nodes) == ("default/web-1:8080", ("node-b",))
    flows.apply("node-b", FlowsEvent(ended=("1", "unknown")))
    assert flows.rows() == []


def test_new_names_rename_rows() -> None:
    known = Names()
    flows = FlowModel(known)
    flows.apply("node-a", FlowsEvent(changed=(flow("node-a", "1", CLIENT, ENDPOINT),)))
    assert only(flows).source == "10.244.0.2:43122"
    known.update([], [pod("old", "node-a", "10.244.0.2", "Succeeded"), pod("client", "node-a", "10.244.0.2")], [])
    assert only(flows).source == "default/client:43122"


def test_the_gateway_of_a_nodes_pods_is_the_node() -> None:
    assert names().of("10.244.0.1").name == "node/node-a"
    assert names().of("192.0.2.1") == ("", "192.0.2.1", "")


def test_a_node_that_is_away_leaves_stale_rows_and_begins_anew() -> None:
    flows = model(flow("node-a", "1", CLIENT, VIP, to=ENDPOINT), flow("node-b", "1", CLIENT, ENDPOINT))
    flows.set_away("node-b", away=True)
    assert not only(flows).stale
    flows.set_away("node-a", away=True)
    assert only(flows).stale
    flows.begin("node-a")
    assert (only(flows).stale, only(flows).nodes) == (True, ("node-b",))
    flows.begin("node-b")
    assert flows.rows() == []


def test_beyond_the_limit_records_are_counted_and_come_in_when_there_is_room() -> None:
    records = [flow("node-a", str(n), ("10.244.0.2", n), ENDPOINT) for n in range(1, 6)]
    flows = model(*records, limit=3)
    assert (len(flows.rows()), flows.left_out) == (3, 2)
    flows.apply("node-a", FlowsEvent(ended=("1", "5")))
    assert (len(flows.rows()), flows.left_out) == (2, 1)
    flows.apply("node-a", FlowsEvent(changed=(records[3],)))
    assert (len(flows.rows()), flows.left_out) == (3, 0)


def test_the_far_half_of_a_young_flow_waits_for_the_near_one() -> None:
    far, near = flow("node-b", "9", CLIENT, ENDPOINT), flow("node-a", "1", CLIENT, VIP, to=ENDPOINT)
    row = only(model(far))
    held = [row.is_awaited(row.first_seen + age, 1.0) for age in (-60.0, 0.0, 0.9, 1.0, 60.0)]
    assert held == [False, True, True, False, False]
    for records in ((far, near), (near,), (flow("node-b", "9", ("192.0.2.1", 5), ENDPOINT),)):
        assert not only(model(*records)).is_awaited(1e9, 1.0)


def test_the_line_of_an_entry() -> None:
    assert conntrack_line(flow("node-a", "1", CLIENT, VIP, to=ENDPOINT)) == (
        "tcp      6 ESTABLISHED src=10.244.0.2 dst=10.96.0.20 sport=43122 dport=80 packets=3 bytes=300 "
        "src=10.244.1.3 dst=10.244.0.2 sport=8080 dport=43122 packets=2 bytes=0"
    )
    ping = flow(
        "node-a", "1", ("10.244.0.2", 0), ("10.244.1.3", 0), protocol="icmp", state="UNREPLIED", reply_packets=0
    )
    assert "[UNREPLIED]" in conntrack_line(ping)
    assert "sport" not in conntrack_line(ping)


# --- filters ---------------------------------------------------------------------------------------------------------


def test_filters() -> None:
    flows = model(
        flow("node-a", "1", CLIENT, VIP, to=ENDPOINT),
        flow("node-b", "1", CLIENT, ENDPOINT),
        drop("node-b", "2", ("10.244.0.9", 53), ("192.0.2.1", 5353), "NO_SOCKET", protocol="udp"),
    )

    def found(text: str) -> str:
        rows = sorted(flows.rows(), key=lambda row: row.protocol)
        wanted: Filter[FlowRow] = parse(text, FIELDS)
        return "".join(row.protocol[0] for row in rows if wanted.matches(row, word, FIELDS))

    cases = {
        "": "tu",
        "client": "t",
        "CLIENT established": "t",
        "10.96.0.20:80": "t",
        "pod:web-1": "t",
        "pod:default/client": "t",
        "pod:web service:web": "t",
        "service:default/web": "t",
        "service:other": "",
        "port:8080": "t",
        "port:80": "t",
        "port:8": "",
        "port:53": "u",
        "verdict:refused": "u",
        "verdict:forwarded": "t",
        "protocol:udp": "u",
        "protocol:ud": "",
        "node:node-b": "tu",
        "node:node-a": "t",
        "no_socket": "u",
        "pod:": "tu",
        "port:x": "",
        "node:node-a,node-c": "t",
        "port:53,8080": "tu",
        "!protocol:tcp,udp": "",
        "protocol:,": "tu",
        "!udp": "t",
        "!port:8080": "u",
        "!": "tu",
        "from:client": "t",
        "from:10.244.0.9": "u",
        "to:svc/web": "t",
        "to:web-1": "t",
        "to:client": "",
        "ip:10.244.1.3": "t",
        "ip:10.244.1": "",
        "namespace:default": "t",
        "namespace:def": "",
        "reason:socket": "u",
        "state:est": "t",
    }
    assert {text: found(text) for text in cases} == cases
    assert parse("  ", FIELDS) == Filter()


# --- order and loss --------------------------------------------------------------------------------------------------

ADDRESSES = ("10.244.0.2", "10.244.1.3", "10.96.0.20", "172.18.0.2", "192.0.2.1")
ADDRESS: st.SearchStrategy[Address] = st.tuples(st.sampled_from(ADDRESSES), st.integers(0, 3))
NODES = ("node-a", "node-b", "node-c")


@st.composite
def records(draw: st.DrawFn, node: str) -> FlowRecord:
    identity = draw(st.sampled_from("123456"))
    if draw(st.integers(0, 5)) == 0:
        return drop(node, identity, draw(ADDRESS), draw(ADDRESS), "NO_SOCKET")
    to, by = draw(st.none() | ADDRESS), draw(st.none() | ADDRESS)
    return flow(node, identity, draw(ADDRESS), draw(ADDRESS), to=to, by=by, packets=draw(st.integers(0, 9)))


@st.composite
def histories(draw: st.DrawFn) -> dict[str, list[FlowsEvent]]:
    result = {}
    for node in NODES:
        event = st.builds(
            lambda changed, ended: FlowsEvent(changed=tuple(changed), ended=tuple(ended)),
            st.lists(records(node), max_size=4),
            st.lists(st.sampled_from("123456"), max_size=2),
        )
        result[node] = draw(st.lists(event, max_size=4))
    return result


def remaining(events: list[FlowsEvent]) -> dict[str, FlowRecord]:
    """What a node says in the end."""
    found: dict[str, FlowRecord] = {}
    for event in events:
        for identity in event.ended:
            found.pop(identity, None)
        found.update({record.identity: record for record in event.changed})
    return found


def by_key(flows: FlowModel) -> dict[tuple[str, str], FlowRow]:
    rows = flows.rows()
    assert not flows.pending
    result = {row.key: row for row in rows}
    assert len(result) == len(rows)
    return result


def settled(row: FlowRow) -> FlowRow:
    """The row without its rates, which depend on when it was told."""
    return structs.replace(row, last_rate=0.0, last_octet_rate=0.0)


@settings(max_examples=80, deadline=None)
@given(histories(), st.integers(0, 2**32), st.integers(1, 5))
def test_rows_do_not_depend_on_order_and_none_is_lost(told: dict[str, list[FlowsEvent]], seed: int, most: int) -> None:
    source = random.Random(seed)
    flows = FlowModel(names())
    queues = {node: list(events) for node, events in told.items() if events}
    while queues:
        node = source.choice(sorted(queues))
        flows.apply(node, queues[node].pop(0))
        if not queues[node]:
            del queues[node]
        if source.random() < 0.5:
            flows.rows(source.choice((most, None)))
    at_once = FlowModel(names())
    kept = {node: remaining(events) for node, events in told.items()}
    for node in reversed(NODES):
        at_once.apply(node, FlowsEvent(changed=tuple(kept[node].values())))
    rows = by_key(flows)
    assert {key: settled(row) for key, row in rows.items()} == {k: settled(row) for k, row in by_key(at_once).items()}
    shown = [(record.node, record.identity) for key in rows for record in flows.records(key)]
    assert sorted(shown) == sorted((node, identity) for node, all_of in kept.items() for identity in all_of)


# --- rates -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.3, 0.9))
def test_a_flows_rate_is_by_its_nodes_clock(first: int, more: int, seconds: float) -> None:
    flows = FlowModel(names())
    for packets, age, now in ((first, 10.0, 100.0), (first + more, 10.0 + seconds, 103.0)):
        record = flow("node-a", "1", CLIENT, VIP, to=ENDPOINT, packets=packets, reply_packets=0, age=age)
        flows.apply("node-a", FlowsEvent(changed=(record,)), now)
    row = only(flows)
    assert row.rate(103.1) == pytest.approx(more / seconds)
    assert row.rate(105.0) == 0  # the node would have told


def test_after_silence_a_rate_is_that_of_one_interval() -> None:
    flows = FlowModel(names())
    for packets, age in ((5, 10.0), (6, 70.0)):
        record = flow("node-a", "1", CLIENT, VIP, packets=packets, reply_packets=0, age=age)
        flows.apply("node-a", FlowsEvent(changed=(record,)), age)
    assert only(flows).rate(70.0) == 2.0


def test_a_line_for_the_clipboard_says_all() -> None:
    row = only(model(flow("node-a", "1", CLIENT, VIP, to=ENDPOINT), drop("node-b", "2", CLIENT, ENDPOINT, "NO_SOCKET")))
    assert flow_line(row) == (
        "tcp default/client:43122 -> default/svc/web:80 => default/web-1:8080 "
        "[10.244.0.2:43122 → 10.96.0.20:80 ⇒ 10.244.1.3:8080] REFUSED NO_SOCKET (ESTABLISHED) "
        "5 packets 300 bytes on node-a,node-b"
    )
    plain = only(model(flow("node-a", "1", CLIENT, ENDPOINT)))
    assert "default/web-1:8080 [10.244.0.2:43122 → 10.244.1.3:8080] FORWARDED" in flow_line(plain)
