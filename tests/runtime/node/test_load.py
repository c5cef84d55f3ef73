"""A load of every protocol, asked of a node as `emulator traffic run` asks it."""

import pytest
import trio
from msgspec.structs import replace

from emulator.api.messages import LOAD_RUN, ControlError, LoadClient, LoadPace, LoadParams, LoadTarget
from emulator.apps.load.tally import Tally
from emulator.packet.dns_record import AAAA, SRV
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import CONFIG, pod, service

SECURE = """
---
apiVersion: v1
kind: Pod
metadata: {name: secure}
spec: {containers: [{name: main, image: acme/secure, ports: [{name: https, containerPort: 443}]}]}
"""
PODS = SECURE + pod("one", "node-a", "web") + pod("two", "node-b", "web") + pod("client", "node-c")


def target(protocol, **fields):
    return LoadTarget(url=fields.pop("url", protocol), protocol=protocol, **fields)


async def load(cluster, *targets, rate=0.0, requests=0, pod="client", interrupt_after=None, **pace):
    """One load from a pod; the tallies of the targets."""
    client = LoadClient(pod=pod, rate=rate, concurrency=1, requests=requests, seed="1")
    pace = LoadPace(**{"duration": 2.0, **pace})
    params = LoadParams(pace=pace, targets=targets, clients=(client,))
    tallies = [Tally() for _ in targets]
    gone = []

    def add(news):
        gone.extend(news.gone)
        for tally in news.tallies:
            tallies[tally.target].add(tally)

    node = "node-c"
    async with cluster.connect_node(node) as connection, connection.stream(LOAD_RUN, params) as exchange:
        if interrupt_after is not None:
            await trio.sleep(interrupt_after)
            await exchange.interrupt()
        async for news in exchange:
            add(news)
        add(await exchange.result())
    return tallies, gone


@pytest.fixture
async def cluster(autojump_clock):
    async with Cluster.start(CONFIG, simulate=True) as cluster:
        await cluster.apply(PODS + service("web", "web"))
        await cluster.wait_ready()
        await trio.sleep(1)
        yield cluster


async def test_every_protocol_from_a_pod(cluster):
    asked = [
        target("http", host="web", port=80, path="/hostname", expect=b"o"),
        target("http", host="web", port=80, path="/dial"),
        target("http", host="nobody", port=80, path="/"),
        target("tcp", host="web", port=80),
        target("tcp", host="localhost", port=99),
        target("udp", host="web", port=81, payload=b"hostname"),
        target("dns", path="web"),
        target("dns", path="_http._tcp.web.default.svc.cluster.local.", record=SRV),
        target("dns", path="web.default.svc.cluster.local.", record=AAAA),
        target("dns", path="nobody.default.svc.cluster.local."),
        target("ping", host="localhost"),
        target("https", host=(await cluster.get("Pod", "secure", "default"))["status"]["podIP"], port=443, path="/"),
    ]
    tallies, gone = await load(cluster, *asked, requests=10 * len(asked), duration=60.0, lookup_each=True)
    assert not gone
    assert [tally.sent for tally in tallies] == [10] * len(asked)
    http, missing, nobody, tcp, closed, udp, dns, srv, nodata, unknown, ping, https = tallies
    for answered in (http, tcp, udp):
        assert answered.endpoints.keys() == {"one", "two"}
        assert answered.succeeded == 10
    assert missing.errors == {"HTTP 400": 10}
    assert nobody.errors == {"Could not resolve host": 10}
    assert closed.errors == {"Connection refused": 10}
    assert all(name.startswith("kube-system/coredns-") for name in dns.endpoints)
    assert (dns.succeeded, srv.succeeded, ping.succeeded) == (10, 10, 10)
    assert (nodata.errors, unknown.errors) == ({"NODATA": 10}, {"NXDOMAIN": 10})
    assert (https.succeeded, https.errors) == (10, {})
    assert (udp.bytes_sent, udp.bytes_received) == (80, 30)
    assert (http.connections, http.retried) == (10, 0)
    assert http.bytes_received > 10 * 100


async def test_kept_connections_are_used_again_and_wrong_answers_are_errors(cluster):
    http, udp = (
        target("http", host="web", port=80, path="/hostname"),
        target("udp", host="web", port=81, payload=b"clientip"),
    )
    (web, datagrams), _ = await load(cluster, http, udp, requests=40, keep=True, duration=60.0)
    assert (web.succeeded, web.connections, len(web.endpoints)) == (20, 1, 1)
    assert (datagrams.succeeded, len(datagrams.endpoints)) == (20, 1)
    (fresh,), _ = await load(cluster, http, requests=20, duration=60.0)
    assert (fresh.connections, len(fresh.endpoints)) == (20, 2)
    wrong = replace(http, expect=b"three"), replace(udp, payload=b"echo x", expect=b"y")
    tallies, _ = await load(cluster, *wrong, requests=10, duration=60.0)
    assert [tally.errors for tally in tallies] == [{"Unexpected reply": 5}] * 2


async def test_a_kept_connection_that_the_server_has_closed_costs_no_request(cluster):
    asked = target("http", host="web", port=80, path="/hostname")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.delete, "Pod", "one", "default")
        (tally,), _ = await load(cluster, asked, rate=40.0, keep=True)
    assert tally.failed == 0


async def test_an_interrupt_ends_it_with_what_there_is_and_nonsense_is_refused(cluster):
    with pytest.raises(ControlError, match="no such protocol: gopher"):
        await load(cluster, target("gopher", host="web"))
    with pytest.raises(ControlError, match='pods "nobody" not found'):
        await load(cluster, target("ping", host="web"), pod="nobody")
    with pytest.raises(ControlError, match="can be at most 1,000,000"):
        await load(cluster, target("ping", host="web"), rate=float("inf"))
    with pytest.raises(ControlError, match="needs targets"):
        await load(cluster)
    began = trio.current_time()
    (tally,), _ = await load(cluster, target("ping", host="localhost"), rate=10.0, duration=100.0, interrupt_after=3.0)
    assert trio.current_time() - began < 4.0
    assert 28 <= tally.succeeded <= 31


async def test_a_client_that_goes_away_is_told(cluster):
    await cluster.apply(pod("leaving", "node-c"))
    await cluster.wait_ready()
    result = []

    async def run():
        result.append(
            await load(
                cluster,
                target("udp", host="web", port=81, payload=b"hostname"),
                rate=10.0,
                pod="leaving",
                duration=60.0,
            )
        )

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(2.0)
        await cluster.delete("Pod", "leaving", "default", grace=0)
    (((tally,), gone),) = result
    assert gone == [0]
    assert 15 <= tally.succeeded <= 30
    assert trio.current_time() - began < 50
