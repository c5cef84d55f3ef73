"""Programs that stand in for images: where they answer, and in which protocol."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster

from .world import apply, ask, get, pod, settle

UNDECLARED = """
---
apiVersion: v1
kind: Pod
metadata: {name: flask, labels: {app: flask}}
spec:
  containers:
  - {name: app, image: example.com/flask, ports: [{name: https-admin, containerPort: 6443}]}
  - {name: sidecar, image: example.com/sidecar, ports: [{containerPort: 9000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: proxied, labels: {app: proxied}}
spec:
  containers:
  - {name: app, image: example.com/app}
  - {name: proxy, image: nginx}
---
apiVersion: v1
kind: Pod
metadata: {name: script, labels: {app: script}}
spec:
  containers:
  - {name: app, image: alpine, command: [/opt/serve, --port, "7000"], ports: [{containerPort: 7000}]}
"""
SERVICES = """
---
apiVersion: v1
kind: Service
metadata: {name: flask}
spec:
  selector: {app: flask}
  ports:
  - {name: web, port: 80, targetPort: 5000}
  - {name: safe, port: 443, targetPort: 5443}
  - {name: tls, port: 8443, targetPort: https-admin}
  - {name: side, port: 9000}
  - {name: ask, port: 53, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: proxied}
spec:
  selector: {app: proxied}
  ports: [{name: web, port: 80}, {name: other, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: script}
spec: {selector: {app: script}, ports: [{port: 7000}]}
"""
LATER = """
---
apiVersion: v1
kind: Service
metadata: {name: admin}
spec: {selector: {app: flask}, ports: [{port: 80, targetPort: 5001}]}
"""
CONTROLLER = """
---
apiVersion: v1
kind: ReplicationController
metadata: {name: books, labels: {app: books}}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: books}}
    spec: {containers: [{name: app, image: example.com/books, ports: [{name: web, containerPort: 3000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: books}
spec: {selector: {app: books}, ports: [{port: 80, targetPort: web}]}
"""


HOST_AGENT = """
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      hostNetwork: true
      initContainers:
      - {name: maps, image: busybox, command: [sysctl, -w, vm.max_map_count=262144]}
      containers:
      - name: agent
        image: example.com/agent
        readinessProbe: {httpGet: {path: /readiness, port: 9099, host: localhost}}
        livenessProbe: {httpGet: {path: /health, port: 8080, host: 169.254.20.10}}
"""


async def test_agents_that_are_probed_at_their_node_get_ready(cluster: Cluster, autojump_clock: MockClock) -> None:
    """`localhost` is the node's own; an address that the real agent would give its node counts as passed."""
    await apply(cluster, HOST_AGENT)
    await trio.sleep(120)
    pods = await cluster.objects("Pod", "default", selector="app=agent")
    assert [entry["status"]["containerStatuses"][0]["restartCount"] for entry in pods] == [0, 0, 0]
    assert all(entry["status"]["containerStatuses"][0]["ready"] for entry in pods)


async def test_ports_that_services_lead_to_answer_without_being_declared(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    """`containerPort` informs only: many manifests have none, and their Services answer in real clusters."""
    await apply(cluster, pod("client", "node-a"), UNDECLARED, SERVICES)
    client = cluster.pod("client")
    assert "container: app" in await get(client, "http://flask/")
    assert "container: app" in await get(client, "https://flask/", "-k")
    assert "container: app" in await get(client, "http://flask:443/")  # whoever begins with TLS gets it, others HTTP
    assert "container: app" in await get(client, "https://flask:8443/", "-k")
    assert (await client.exec("curl", "-sS", "http://flask:8443/")).exit_status == 52  # an https port speaks that alone
    assert "container: sidecar" in await get(client, "http://flask:9000/")
    with await client.udp_socket() as socket:
        assert "flask" in await ask(socket, "who?", "flask.default.svc.cluster.local", 53)
    assert "container: app" in await get(client, "http://script:7000/")

    await apply(cluster, LATER)
    assert "container: app" in await get(client, "http://admin/")


async def test_a_stand_in_takes_no_port_of_a_program_that_knows_its_own(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await apply(cluster, pod("client", "node-a"), UNDECLARED, SERVICES)
    client = cluster.pod("client")
    assert "Welcome to nginx!" in await get(client, "http://proxied/")
    refused = await client.exec("curl", "-sS", "http://proxied:8080/")
    assert refused.exit_status == 7, refused


async def test_replication_controllers_make_pods(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, pod("client", "node-a"), CONTROLLER)
    controller = await cluster.get("ReplicationController", "books", "default")
    assert controller["spec"]["selector"] == {"app": "books"}  # by default the labels of its template
    assert controller["status"]["readyReplicas"] == 2
    answers = {await get(cluster.pod("client"), "http://books/") for _ in range(12)}
    assert len({answer.partition("\n")[0] for answer in answers}) == 2

    await cluster.scale("ReplicationController", "books", 3)
    await cluster.wait_ready()
    pods = await cluster.objects("Pod", "default", selector="app=books")
    assert [len(entry["metadata"]["ownerReferences"]) for entry in pods] == [1, 1, 1]
    await cluster.delete("ReplicationController", "books", "default")
    await settle()
    left = await cluster.objects("Pod", "default", selector="app=books")
    assert all("deletionTimestamp" in entry["metadata"] for entry in left)


SECRETIVE = """
---
apiVersion: v1
kind: Pod
metadata: {name: redis}
spec:
  containers:
  - name: redis
    image: redis:7
    args: [--requirepass, $(PASSWORD)]
    env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: made-by-a-job, key: auth}}}]
    envFrom: [{configMapRef: {name: made-by-a-controller}}]
    ports: [{containerPort: 6379}]
"""


async def test_what_stands_in_waits_for_no_secret(cluster: Cluster, autojump_clock: MockClock) -> None:
    """What would make it (a Job, a controller, an init container) is not run here either."""
    await apply(cluster, SECRETIVE)
    events = await cluster.objects("Event", "default")
    (told,) = [entry["message"] for entry in events if "made-by" in entry["message"]]
    assert told == 'configmap "made-by-a-controller" not found; what stands in for the container starts without it'
