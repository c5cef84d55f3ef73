"""Rules that ask who sent a packet: containers run as their users, as a service mesh's sidecar does."""

from __future__ import annotations

from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster

from .world import HTTP, apply, get, pod

APPLICATION = """
---
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: default}
spec:
  nodeName: node-a
  securityContext: {runAsUser: 1000, fsGroup: 2000}
  containers:
  - {name: main, image: busyboxCONTEXT}
"""


def application(name: str, context: str = "") -> str:
    return APPLICATION.replace("NAME", name).replace("CONTEXT", context)


async def test_a_containers_user_owns_its_sockets(cluster: Cluster, autojump_clock: MockClock) -> None:
    sidecar = ", securityContext: {runAsUser: 1337, runAsGroup: 1337}"
    await apply(
        cluster, pod("server", "node-b", app="web"), pod("root", "node-a"),
        application("plain"), application("sidecar", sidecar),
    )  # fmt: skip
    address = await cluster.pod("server").address()
    rules = (
        "--uid-owner 0", "--uid-owner 1000", "--uid-owner 1337", "--gid-owner 0", "--gid-owner 1337",
        "--gid-owner 2000", "--gid-owner 2000 --suppl-groups", "--socket-exists",
    )  # fmt: skip
    text = "".join(f"-A OUTPUT -p tcp -m owner {rule}\n" for rule in rules)
    expected = {
        "root": [True, False, False, True, False, False, False, True],
        "plain": [False, True, False, True, False, False, True, True],
        "sidecar": [False, False, True, False, True, False, True, True],
    }
    for name, counts in expected.items():
        client = cluster.pod(name)
        done = await client.exec("iptables-restore", stdin=f"*filter\n{text}COMMIT\n".encode())
        assert done.exit_status == 0, done.stderr
        assert await get(client, f"http://{address}:{HTTP}/hostname") == "server"
        saved = (await client.exec("iptables-save", "-c", "-t", "filter")).stdout
        met = [not line.startswith("[0:0]") for line in saved.splitlines() if line.startswith("[")]
        assert met == counts, name


async def test_a_mesh_redirects_all_but_its_own(cluster: Cluster, autojump_clock: MockClock) -> None:
    """As Istio does: what the application sends goes to the sidecar's port, what the sidecar sends goes out."""
    sidecar = ", securityContext: {runAsUser: 1337, runAsGroup: 1337}"
    await apply(cluster, pod("server", "node-b", app="web"), application("plain"), application("sidecar", sidecar))
    address = await cluster.pod("server").address()
    rules = """*nat
-A OUTPUT -p tcp -m owner --uid-owner 1337 -j RETURN
-A OUTPUT -p tcp -j REDIRECT --to-ports 15001
COMMIT
"""
    for name, answers in (("sidecar", True), ("plain", False)):
        client = cluster.pod(name)
        assert (await client.exec("iptables-restore", stdin=rules.encode())).exit_status == 0
        done = await client.exec("curl", "-sS", "--max-time", "2", f"http://{address}:{HTTP}/hostname")
        assert (done.exit_status == 0) is answers, done.stderr  # nobody listens on 15001: refused
