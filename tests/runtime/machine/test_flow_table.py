"""What becomes of connections that do not come about is one flow on each node, with its verdict, reason and NAT."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import Random

import pytest
import trio
from trio.testing import MockClock

from emulator.api import messages
from emulator.api.messages import FlowRecord, FlowsWatchParams, FlowVerdict
from emulator.kernel.drop import DropReason
from emulator.kernel.drop_log import DropRecord
from emulator.kernel.kernel import Kernel
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.machine import flow_table
from emulator.runtime.machine.machine import Machine
from emulator.runtime.underlay.memory import MemoryNetwork

OBJECTS = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  nodeName: node-a
  containers: [{name: web, image: nginx}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeName: node-b
  containers: [{name: curl, image: curlimages/curl}]
---
apiVersion: v1
kind: Service
metadata: {name: wrong}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""

FORWARDED, DROPPED, REJECTED, REFUSED = FlowVerdict


async def flows(cluster: Cluster, node: str) -> list[FlowRecord]:
    async with (
        cluster.connect_node(node) as client,
        client.stream(messages.FLOWS_WATCH, FlowsWatchParams()) as exchange,
    ):
        event = await exchange.next_event()
    assert event is not None
    return list(event.changed)


def to_port(records: Sequence[FlowRecord], port: int) -> list[tuple[FlowVerdict, str, str]]:
    """The flows whose packets leave for a port: verdict, reason, and the port they came for if NAT changed it."""
    return [
        (
            flow.verdict,
            flow.reason,
            "" if flow.original.destination_port == port else str(flow.original.destination_port),
        )
        for flow in records
        if flow.reply.source_port == port
    ]


async def curl(cluster: Cluster, *words: str) -> None:
    result = await cluster.pod("client").exec("curl", "-s", "-m", "5", *words)
    assert result.exit_status != 0


async def test_each_attempt_is_one_flow_with_what_became_of_it(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply(OBJECTS)
    await cluster.wait_ready()
    server = await cluster.pod("server").address()
    rule = ("iptables", "-I", "FORWARD", "-p", "tcp", "--dport")
    await cluster.node("node-a").exec(*rule, "82", "-j", "DROP")
    await cluster.node("node-a").exec(*rule, "83", "-j", "REJECT")
    await cluster.node("node-a").exec(*rule, "84", "-j", "REJECT", "--reject-with", "tcp-reset")
    await cluster.node("node-b").exec(*rule, "85", "-j", "REJECT")
    await trio.sleep(1)  # kube-proxy has the endpoint
    await curl(cluster, "http://wrong/")
    for port in (82, 83, 84, 85):
        await curl(cluster, f"http://{server}:{port}/")
    await cluster.pod("client").exec("nc", "-u", "-w", "1", server, "86", stdin=b"x")
    absent = server.rpartition(".")[0] + ".77"
    await curl(cluster, f"http://{absent}:87/")
    await curl(cluster, "http://none/")
    near, far = await flows(cluster, "node-b"), await flows(cluster, "node-a")
    assert {port: (to_port(near, port), to_port(far, port)) for port in range(81, 88)} == {
        81: ([(REFUSED, "TCP_RESET", "80")], [(REFUSED, "NO_SOCKET", "")]),
        82: ([(FORWARDED, "", "")], [(DROPPED, "NETFILTER_DROP", "")]),
        83: ([(REFUSED, "ICMP_PORT_UNREACH", "")], [(REJECTED, "NETFILTER_REJECT", "")]),
        84: ([(REFUSED, "TCP_RESET", "")], [(REJECTED, "NETFILTER_REJECT", "")]),
        85: ([(REJECTED, "NETFILTER_REJECT", "")], []),
        86: ([(REFUSED, "ICMP_PORT_UNREACH", "")], [(REFUSED, "NO_SOCKET", "")]),
        87: ([(REJECTED, "ICMP_HOST_UNREACH", "")], [(DROPPED, "NEIGH_FAILED", "")]),
    }
    (reset,) = [flow for flow in near if flow.reply.source_port == 81]
    assert (reset.packets, reset.reply_packets, reset.state, reset.dropped) == (1, 1, "CLOSE", 0)
    (dropped,) = [flow for flow in far if flow.reply.source_port == 82]
    assert dropped.dropped == dropped.packets > 1  # each retransmission
    vip = (await cluster.get("Service", "none", "default"))["spec"]["clusterIP"]
    assert [flow.reason for flow in near if flow.original.destination == vip] == ["NETFILTER_REJECT"]


async def test_a_setback_that_is_overcome_is_none(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply(OBJECTS)
    await cluster.wait_ready()
    server = await cluster.pod("server").address()
    node = cluster.node("node-a")
    rule = ("FORWARD", "-p", "tcp", "--dport", "80", "-j", "DROP")

    async def verdicts() -> list[FlowVerdict]:
        return [flow.verdict for flow in await flows(cluster, "node-a") if flow.reply.source_port == 80]

    async with trio.open_nursery() as nursery:
        await node.exec("iptables", "-I", *rule)
        nursery.start_soon(cluster.pod("client").exec, "curl", "-s", f"http://{server}/")
        await trio.sleep(2)
        assert await verdicts() == [DROPPED]
        await node.exec("iptables", "-D", *rule)
    assert await verdicts() == [FORWARDED]
    await trio.sleep(121)  # the connection's TIME_WAIT is over
    assert await verdicts() == []


async def test_only_a_syn_without_conntrack_is_a_flow_of_its_own() -> None:
    kernel = Kernel("m", Random(1), 100.0)
    underlay = MemoryNetwork(Random(1)).attach("m", 1, ("127.0.0.1", 1))
    table = flow_table.FlowTable(Machine(kernel, underlay, logging.getLogger("test"), 0.0))
    cases = ((0x02, 1), (0x12, 0), (0x11, 0), (0x10, 0), (0x04, 0))
    for flags, flows_of_it in cases:
        frame = bytes(14) + b"\x45" + bytes(19) + bytes(13) + bytes((flags,)) + bytes(6)
        kernel.drop_log.append(
            DropRecord(100.0, "pod", DropReason.NO_SOCKET, "eth0", frame, 54, 6, 1, 2, 1000 + flags, 80)
        )
        assert len([flow for flow in table.flows() if flow.original.sport == 1000 + flags]) == flows_of_it, flags


async def test_flows_that_conntrack_has_not_are_forgotten(
    cluster: Cluster, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.apply(OBJECTS)
    await cluster.wait_ready()
    server = await cluster.pod("server").address()
    await curl(cluster, f"http://{server}:81/")
    await cluster.pod("client").exec("nc", "-u", "-w", "1", server, "86", stdin=b"x")
    assert to_port(await flows(cluster, "node-a"), 81)
    await trio.sleep(flow_table.SETBACK_MEMORY + 1)
    records = await flows(cluster, "node-a")
    assert (to_port(records, 81), to_port(records, 86)) == ([], [])
    monkeypatch.setattr(flow_table, "SETBACKS_KEPT", 3)
    for port in range(101, 106):
        await curl(cluster, f"http://{server}:{port}/")
    assert [len(to_port(await flows(cluster, "node-a"), port)) for port in range(101, 106)] == [0, 0, 1, 1, 1]
