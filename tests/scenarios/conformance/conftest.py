"""The frameworks as fixtures; each test asks for the mock clock itself."""

from collections.abc import AsyncIterator

import pytest

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.conformance.framework import NODES, Framework, NetworkingTest


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    """kube-proxy's mode; `framework.every_mode` has a test run in each."""
    return getattr(request, "param", "iptables")


@pytest.fixture
async def framework(mode: str) -> AsyncIterator[Framework]:
    async with Cluster.start(_config(mode), simulate=True) as cluster:
        yield Framework(cluster)


@pytest.fixture
async def config(mode: str) -> AsyncIterator[NetworkingTest]:
    async with Cluster.start(_config(mode), simulate=True) as cluster:
        networking = NetworkingTest(cluster)
        await networking.set_up()
        yield networking


def _config(mode: str) -> ClusterConfig:
    return ClusterConfig(
        name="conformance",
        nodes=tuple(NodeConfig(name, f"zone-{name[-1]}") for name in NODES),
        proxy_mode=mode,
        seed=5,
    )
