"""The emulated node against the machine's own kernel: the same pods, the rules that the emulated one saved."""

from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

from emulator.api.cloud_section import CloudConfig
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.real_node import ROOT, RealNode, captured_icmp
from tests.scenarios.world import CONFIG, HTTP, addresses, apply, output

MANIFEST = Path(__file__).parent.parent / "golden" / "cluster.yaml"
VIPS = ("10.96.1.1", "10.96.1.2", "10.96.1.3", "10.96.1.4")
"""To a pod of the other node, to the neighbour, to the client itself, and without endpoints."""


async def emulated(wanted: dict[str, str], icmp: list[str]) -> tuple[dict[str, str], str]:
    """Ask everybody from the client and from the node; return the pods' addresses and the node's rules."""
    config = msgspec.structs.replace(
        CONFIG, cloud=CloudConfig(internet=False)
    )  # as the real node, which has no gateway
    async with Cluster.start(config, simulate=True) as cluster:
        await apply(cluster, MANIFEST.read_text())
        pods = await addresses(cluster)
        for source, place in (("client", cluster.pod("client")), (ROOT, cluster.node("node-a"))):
            for address, port in questions(pods):
                outcome = await place.exec("curl", "-s", "--max-time", "10", f"http://{address}:{port}/clientip")
                wanted[f"{source} {address}"] = outcome.stdout.rpartition(":")[0]
        for address in ("10.96.1.4", "192.0.2.1"):
            steps = (await cluster.trace("client", address, port=80)).steps
            arrived = [step.packet for step in steps if step.packet.startswith("IP") and "unreachable" in step.packet]
            icmp.append(arrived[-1])
        return pods, await output(cluster.node("node-a"), "iptables-save")


def questions(pods: dict[str, str]) -> list[tuple[str, int]]:
    return [(address, 80) for address in VIPS] + [(pods[name], HTTP) for name in ("near", "far", "client")]


@pytest.mark.kernel
def test_a_real_node_with_these_rules_does_the_same() -> None:
    """Who answers, whom servers see, what is refused, and who reports errors, with the source that it takes."""
    wanted: dict[str, str] = {}
    errors: list[str] = []
    pods, rules = trio.run(emulated, wanted, errors, clock=MockClock(autojump_threshold=0))
    with RealNode({name: pods[name] for name in ("client", "near")}, pods["far"]) as node:
        node.run(ROOT, "iptables-restore", stdin=rules)
        found = {
            f"{source} {address}": node.client_address(source, address, port)
            for source in ("client", ROOT)
            for address, port in questions(pods)
        }
        with captured_icmp(node, "client", len(errors)) as seen:
            node.client_address("client", "10.96.1.4", 80)
            node.client_address("client", "192.0.2.1", 80)
    assert found == wanted
    assert wanted["client 10.96.1.4"] == ""
    assert seen == errors
