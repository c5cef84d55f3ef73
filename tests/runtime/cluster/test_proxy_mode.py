"""A cluster changes kube-proxy's mode while it runs: rules of one mode only, and connections go on."""

from itertools import pairwise

import pytest
import trio

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import ControlError
from emulator.kube.proxy.configuration import NAME, NAMESPACE, config_map, with_mode
from emulator.kube.proxy.modes import MODES
from emulator.runtime.cluster.cluster import Cluster

from .test_cluster import WEB, apply

NODES = ("node-a", "node-b")
REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"


@pytest.fixture
def cluster_config() -> ClusterConfig:
    return ClusterConfig(name="test", nodes=tuple(NodeConfig(name) for name in NODES), seed=7)


async def rules(cluster: Cluster, node: str) -> dict[str, bool]:
    """Return which modes' rules a node has."""
    saved = (await cluster.node(node).exec("iptables-save")).stdout
    nft = (await cluster.node(node).exec("nft", "list", "tables")).stdout
    return {
        "iptables": "KUBE-EXTERNAL-SERVICES" in saved,
        "ipvs": "KUBE-IPVS-FILTER" in saved,
        "nftables": "kube-proxy" in nft,
    }


async def change(cluster: Cluster, mode: str) -> None:
    await cluster.apply([with_mode(await cluster.get("ConfigMap", NAME, NAMESPACE), mode)])
    wanted = {each: each == mode for each in ("iptables", "ipvs", "nftables")}
    for node in NODES:
        for _ in range(100):
            if await rules(cluster, node) == wanted:
                break
            await trio.sleep(0.1)
        assert await rules(cluster, node) == wanted


async def answer(stream: trio.abc.Stream) -> bytes:
    await stream.send_all(REQUEST)
    received = b""
    with trio.fail_after(20):
        while received.count(b"\r\n\r\n") < 2:  # the header's end, and the body's
            received += await stream.receive_some()
    return received


# Leaving IPVS ends what it balances, on Linux too: its table is emptied.
@pytest.mark.parametrize(("old", "new"), [*pairwise([*MODES, *MODES])][: len(MODES)])
async def test_connections_go_on_in_another_mode(cluster: Cluster, old: str, new: str) -> None:
    await apply(cluster, WEB)
    await change(cluster, old)
    client = cluster.pod("default/client")
    async with await client.open_tcp_stream("web", 80) as stream:
        assert b"Hostname: web-" in await answer(stream)
        await change(cluster, new)
        if old != "ipvs":
            assert b"Hostname: web-" in await answer(stream)
    assert "Hostname: web-" in (await client.exec("curl", "-s", "http://web/")).stdout
    assert (await cluster.status()).proxy_mode == new
    await change(cluster, old)
    assert "Hostname: web-" in (await client.exec("curl", "-s", "http://web/")).stdout


async def test_a_mode_that_is_not_there_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ControlError, match='mode: Unsupported value: "userspace"'):
        await cluster.apply([config_map("userspace")])
    assert (await rules(cluster, "node-a"))["iptables"]
