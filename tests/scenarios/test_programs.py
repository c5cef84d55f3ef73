"""Programs and commands over a whole simulated cluster: names, Services, TLS, and the tools that measure."""

from __future__ import annotations

import json

from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster

from .world import apply, get, output, pod, service, vip

MEASURED = """
---
apiVersion: v1
kind: Pod
metadata: {name: measured, labels: {app: measured}}
spec:
  nodeName: node-b
  containers:
  - {name: iperf3, image: networkstatic/iperf3, args: [-s], ports: [{containerPort: 5201}]}
  - name: secure
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --http-port=8443, --udp-port=-1, --tls-cert-file=/localhost.crt]
    ports: [{containerPort: 8443, name: https}]
---
apiVersion: v1
kind: Service
metadata: {name: measured}
spec:
  selector: {app: measured}
  ports:
  - {name: tcp, port: 5201}
  - {name: udp, port: 5201, protocol: UDP}
  - {name: https, port: 443, targetPort: https}
"""


async def test_commands_reach_pods_and_services_by_any_name(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, pod("one", "node-b", app="web"), service("web", "web"), pod("client", "node-a"), MEASURED)
    client, address = cluster.pod("client"), await vip(cluster, "web")
    for name in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local", f"{address}"):
        assert await get(client, f"http://{name}/hostname") == "one"
    assert await get(client, "http://web/header?key=host") == "web"
    one = await cluster.pod("one").address()
    by_name = await output(client, "ping", "-c", "1", f"{one.replace('.', '-')}.default.pod.cluster.local")
    assert "1 packets transmitted, 1 received, 0% packet loss" in by_name
    path = await output(client, "tracepath", "-n", one)
    assert path.endswith("hops 3 back 3 \n"), path  # each node is a hop

    # Kubernetes' own network tests ask pods to ask others, by both protocols.
    for protocol, port in (("http", 80), ("udp", 81)):
        question = f"http://localhost:8080/dial?host=web&port={port}&protocol={protocol}&request=hostname&tries=3"
        assert json.loads(await get(client, question)) == {"responses": ["one"] * 3}
    await output(client, "agnhost", "connect", "web:80", "--timeout=3s")

    # TLS through a Service: nobody vouches for the server, who does not mind.
    assert await get(client, "https://measured/hostname", "-k") == "measured"
    refused = await client.exec("curl", "-sS", "https://measured/hostname")
    assert (refused.exit_status, refused.stderr.splitlines()[0]) == (
        60,
        "curl: (60) SSL certificate problem: self-signed certificate",
    )

    # What is sent through the VIP arrives, and is told so by both ends.
    tcp = json.loads(await output(client, "iperf3", "-c", "measured", "-n", "2M", "-P", "2", "-J"))["end"]
    assert tcp["sum_sent"]["bytes"] == tcp["sum_received"]["bytes"] >= 2 << 20
    udp = json.loads(await output(client, "iperf3", "-c", "measured", "-u", "-b", "2M", "-t", "2", "-R", "-J"))["end"]
    assert (udp["sum"]["lost_packets"], udp["sum"]["packets"] > 300) == (0, True)
    load = await output(client, "hey", "-n", "40", "-c", "4", "http://web/hostname")
    assert "[200]\t40 responses" in load
