"""SCTP Services: associations through VIPs and node ports, as agnhost's server and clients have them."""

import json

from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import HTTP, addresses, apply, connections, get, node_addresses, pod, vip

SCTP = 9132


def server(name: str, node: str) -> str:
    return pod(name, node, app="assoc").replace("--http-port", f"--sctp-port={SCTP}, --http-port")


SERVICE = f"""
---
apiVersion: v1
kind: Service
metadata: {{name: assoc}}
spec:
  type: NodePort
  selector: {{app: assoc}}
  ports:
  - {{name: assoc, port: 80, targetPort: {SCTP}, nodePort: 30132, protocol: SCTP}}
"""


async def test_a_service_of_sctp_balances_associations_and_translates_them(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await apply(cluster, server("assoc-b", "node-b"), server("assoc-c", "node-c"), SERVICE, pod("client", "node-a"))
    client, address = cluster.pod("client"), await vip(cluster, "assoc")
    client_ip = (await addresses(cluster, "app=client"))["client"]

    async def dial(host: str, port: int, request: str, tries: int = 1) -> list[str]:
        url = f"http://127.0.0.1:{HTTP}/dial?host={host}&port={port}&protocol=sctp&request={request}&tries={tries}"
        answer = json.loads(await get(client, url))
        assert "errors" not in answer, answer
        return [str(each) for each in answer["responses"]]

    assert set(await dial(address, 80, "hostname", 20)) == {"assoc-b", "assoc-c"}
    assert await dial("assoc", 80, "echo%20Hello") == ["hello"]
    (seen,) = await dial(address, 80, "clientip")
    assert seen.rpartition(":")[0] == client_ip
    nodes = await node_addresses(cluster)
    assert set(await dial(nodes["node-b"], 30132, "hostname", 20)) == {"assoc-b", "assoc-c"}
    endpoints = await addresses(cluster, "app=assoc")
    tracked = await connections(cluster, "node-a", "sctp")
    translated = {reply["src"] for original, reply in tracked if original["dst"] == address}
    assert translated == {*endpoints.values()}

    outcome = await client.exec("agnhost", "connect", "--protocol=sctp", "--timeout=3s", f"{address}:80")
    assert (outcome.exit_status, outcome.stderr) == (0, "")
    closed = f"{endpoints['assoc-b']}:81"
    outcome = await client.exec("agnhost", "connect", "--protocol=sctp", "--timeout=3s", closed)
    assert (outcome.exit_status, outcome.stderr) == (1, "OTHER: connection refused\n")
