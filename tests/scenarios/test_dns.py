"""Names in a cluster, from pods on each node: short, with a namespace, whole; headless ones, single pods, aliases."""

from __future__ import annotations

from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.underlay.memory import Conditions
from tests.scenarios.world import CONFIG, HTTP, addresses, apply, output, pod, service, vip

ZONE = "svc.cluster.local"
CLIENTS = "".join(pod(f"client-{letter}", f"node-{letter}") for letter in "abc")
WEB = pod("web-a", "node-a", app="web") + pod("web-b", "node-b", app="web") + service("web", "web")
HEADLESS = """
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, labels: {app: db}}
spec:
  nodeName: node-c
  hostname: db-0
  subdomain: db
  containers: [{name: db, image: agnhost, args: [netexec]}]
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  nodeName: node-b
  dnsPolicy: None
  dnsConfig:
    nameservers: [10.96.0.10]
    searches: [default.svc.cluster.local]
    options: [{name: ndots, value: "2"}, {name: rotate}]
  containers: [{name: main, image: busybox}]
"""


async def test_names_from_any_pod(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, CLIENTS, WEB, HEADLESS)
    virtual, pods = await vip(cluster, "web"), await addresses(cluster)
    for letter in "abc":
        client = cluster.pod(f"client-{letter}")
        for name in ("web", "web.default", f"web.default.{ZONE}", f"web.default.{ZONE}.", "alias"):
            body = await output(client, "curl", "-s", "--max-time", "20", f"http://{name}/hostname")
            assert body in {"web-a", "web-b"}, (letter, name)
        for name in ("db", "db-0.db", f"db-0.db.default.{ZONE}"):
            assert f"bytes from db-0.db.default.{ZONE}" in await output(client, "ping", "-c", "1", name) or (
                pods["db-0"] in await output(client, "ping", "-n", "-c", "1", name)
            )
        assert await output(client, "dig", "+short", "+search", "web") == f"{virtual}\n"
        assert await output(client, "dig", "+short", f"web.default.{ZONE}") == f"{virtual}\n"
        assert await output(client, "dig", "+short", "-x", virtual) == f"web.default.{ZONE}.\n"
        assert await output(client, "dig", "+short", "-x", pods["db-0"]) == f"db-0.db.default.{ZONE}.\n"
        assert await output(client, "dig", "+short", "-t", "SRV", f"_http._tcp.db.default.{ZONE}") == (
            f"0 100 {HTTP} db-0.db.default.{ZONE}.\n"
        )
        assert await output(client, "host", "-t", "NS", "cluster.local") == (
            f"cluster.local name server kube-dns.kube-system.{ZONE}.\n"
        )
        missing = await client.exec("getent", "hosts", "nope.default.svc.cluster.local")
        assert missing.exit_status == 2
    assert await output(cluster.pod("client-a"), "cat", "/etc/resolv.conf") == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert await output(cluster.pod("own"), "cat", "/etc/resolv.conf") == (
        "search default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:2 rotate\n"
    )
    assert await output(cluster.pod("own"), "getent", "hosts", "web") == f"{virtual:<15s} web.default.{ZONE}\n"
    alias = await output(cluster.pod("own"), "getent", "hosts", "alias")
    assert alias == f"{virtual:<15s} web.default.{ZONE} alias.default.{ZONE}\n"
    node = await cluster.node("node-a").exec("getent", "hosts", "web")
    assert node.exit_status == 2  # a node's resolver knows nothing of the cluster's names


async def test_names_over_a_wire_that_loses(autojump_clock: MockClock) -> None:
    """One packet of twelve is lost: names are found all the same, some after five seconds."""
    async with Cluster.start(CONFIG, simulate=True, conditions=Conditions(loss=0.08)) as cluster:
        await apply(cluster, CLIENTS, WEB)
        virtual = await vip(cluster, "web")
        for letter in "abc":
            for _ in range(6):
                found = await output(cluster.pod(f"client-{letter}"), "getent", "hosts", "web")
                assert found.split()[0] == virtual
