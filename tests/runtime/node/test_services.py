"""What a node answers on its control socket, asked in a simulated cluster."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from emulator.api import messages
from emulator.api.messages import (
    ControlError,
    Empty,
    FlowsWatchParams,
    FlowVerdict,
    LogsParams,
    TraceCollectParams,
    TraceOutcome,
    TraceStartParams,
)
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.machine import flows

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: server}
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
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""


async def start_pods(cluster: Cluster) -> str:
    """Return the server's address."""
    await cluster.apply(PODS)
    await cluster.wait_ready()
    return await cluster.pod("server").address()


async def test_status_counts_what_goes_through(cluster: Cluster, autojump_clock: MockClock) -> None:
    address = await start_pods(cluster)
    await cluster.pod("client").exec("curl", "-s", f"http://{address}/")
    async with cluster.connect_node("node-a") as client:
        status = await client.call(messages.NODE_STATUS, Empty())
        version = await client.call(messages.VERSION, Empty())
    assert (version.role, version.name) == ("node", "node-a")
    assert status.controller_connected
    assert status.flows > 0
    assert status.faults == 0
    assert status.underlay.received_frames > 0
    assert status.underlay.lost == 0


async def test_logs_of_a_container(cluster: Cluster, autojump_clock: MockClock) -> None:
    address = await start_pods(cluster)
    await cluster.pod("client").exec("curl", "-s", f"http://{address}/there")
    async with cluster.connect_node("node-a") as client:
        async with client.stream(messages.LOGS, LogsParams(pod="server")) as exchange:
            lines = [line.text async for line in exchange]
        assert any("/there" in line for line in lines)
        with pytest.raises(ControlError, match="container x is not valid for pod server; its containers are: web"):
            await client.call(messages.LOGS, LogsParams(pod="server", container="x"))
        with pytest.raises(ControlError, match='"ghost" not found'):
            await client.call(messages.LOGS, LogsParams(pod="ghost"))


async def test_flows_begin_with_all_then_tell_changes_and_ends(cluster: Cluster, autojump_clock: MockClock) -> None:
    address = await start_pods(cluster)
    source = await cluster.pod("client").address()
    async with (
        cluster.connect_node("node-b") as client,
        client.stream(messages.FLOWS_WATCH, FlowsWatchParams(interval=0.5)) as exchange,
        await cluster.pod("client").open_tcp_stream(address, 80) as stream,
    ):
        flow = None
        while flow is None:
            event = await exchange.next_event()
            assert event is not None
            wanted = [
                each for each in event.changed if (each.original.source, each.original.destination_port) == (source, 80)
            ]
            flow = wanted[0] if wanted else None
        assert (flow.node, flow.protocol, flow.state) == ("node-b", "tcp", "ESTABLISHED")
        assert (flow.original.destination, flow.reply.source) == (address, address)
        assert flow.verdict is FlowVerdict.FORWARDED
        await stream.aclose()
        ended: tuple[str, ...] = ()
        with trio.fail_after(300):
            while flow.identity not in ended:
                event = await exchange.next_event()
                assert event is not None
                ended = event.ended


async def test_many_flows_come_in_portions(
    cluster: Cluster, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "PORTION", 3)
    address = await start_pods(cluster)
    for _ in range(5):
        await cluster.pod("client").exec("curl", "-s", f"http://{address}/")
    told: list[str] = []
    async with (
        cluster.connect_node("node-b") as client,
        client.stream(messages.FLOWS_WATCH, FlowsWatchParams()) as exchange,
    ):
        while len(told) < 5:
            event = await exchange.next_event()
            assert event is not None
            assert 1 <= len(event.changed) <= 3
            told += [each.identity for each in event.changed]
    assert len(set(told)) == len(told)


async def test_several_follow_one_trace(cluster: Cluster, autojump_clock: MockClock) -> None:
    address = await start_pods(cluster)
    seen: list[list[int]] = [[], []]
    params = TraceCollectParams(trace=7)

    async def follow(numbers: list[int]) -> None:
        async with cluster.connect_node("node-b") as client, client.stream(messages.TRACE_COLLECT, params) as exchange:
            async for step in exchange:
                numbers += [step.number]

    async with trio.open_nursery() as nursery:
        for numbers in seen:
            nursery.start_soon(follow, numbers)
        await trio.testing.wait_all_tasks_blocked()
        async with cluster.connect_node("node-b") as client:
            start = TraceStartParams(trace=7, destination=address, protocol="tcp", port=80, pod="client")
            await client.call(messages.TRACE_START, start)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert seen[0]
    assert seen[0] == seen[1]


async def test_dropped_packets_are_flows_with_their_reason(cluster: Cluster, autojump_clock: MockClock) -> None:
    await start_pods(cluster)
    vip = (await cluster.get("Service", "empty", "default"))["spec"]["clusterIP"]
    traced = await cluster.trace("client", vip, port=80)
    assert traced.result.outcome is TraceOutcome.REFUSED
    async with (
        cluster.connect_node("node-b") as client,
        client.stream(messages.FLOWS_WATCH, FlowsWatchParams()) as exchange,
    ):
        event = await exchange.next_event()
    assert event is not None
    dropped = [each for each in event.changed if each.original.destination == vip]
    assert [each.verdict for each in dropped] == [FlowVerdict.REJECTED]
    assert dropped[0].reason == "NETFILTER_REJECT"


async def test_traces_that_cannot_be_are_refused(cluster: Cluster, autojump_clock: MockClock) -> None:
    await start_pods(cluster)
    with pytest.raises(ControlError, match="must be tcp, udp or icmp"):
        await cluster.trace("client", "10.0.0.1", protocol="sctp", port=1)
    with pytest.raises(ControlError, match="port 0: must be between"):
        await cluster.trace("client", "10.0.0.1")
    unknown = await cluster.trace("client", "no-such-name", port=80)
    assert unknown.result.outcome is TraceOutcome.FAILED
    silent = await cluster.trace("client", await cluster.pod("server").address(), protocol="udp", port=9)
    assert silent.result.outcome is TraceOutcome.REFUSED


async def test_command_ends_when_its_pod_goes(cluster: Cluster, autojump_clock: MockClock) -> None:
    await start_pods(cluster)
    statuses: list[int] = []

    async def ping() -> None:
        statuses.append((await cluster.pod("client").exec("ping", "127.0.0.1")).exit_status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ping)
        await trio.sleep(3)
        await cluster.delete("Pod", "client", "default", grace=0)
    assert statuses == [137]
