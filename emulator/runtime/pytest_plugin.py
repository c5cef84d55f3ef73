"""The pytest plugin: a `cluster` fixture for tests of one's own manifests, programs and rules.

Loaded with every pytest run where Podwire is installed, so it imports nothing until a test asks for the fixture. Tests
that use it are trio tests (pytest-trio).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.api.cluster_file import ClusterConfig
    from emulator.runtime.cluster.cluster import Cluster

REAL_OPTION = "--podwire-real"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose real processes."""
    group = parser.getgroup("podwire")
    group.addoption(
        REAL_OPTION, action="store_true", help="run the `cluster` fixture on real processes, not simulated in this one"
    )


@pytest.fixture
def cluster_config() -> ClusterConfig | str | Path:
    """The cluster that `cluster` starts: two nodes, no manifests. Override it with a file's path or a ClusterConfig."""
    from emulator.api.cluster_file import ClusterConfig, NodeConfig

    return ClusterConfig(name="test", nodes=(NodeConfig("node-a"), NodeConfig("node-b")))


@pytest.fixture
async def cluster(request: pytest.FixtureRequest, cluster_config: ClusterConfig | str | Path) -> AsyncIterator[Cluster]:
    """A cluster that is ready, for one test: simulated, on the test's clock, unless --podwire-real is given."""
    from emulator.runtime.cluster.cluster import Cluster

    simulate = not request.config.getoption(REAL_OPTION, default=False)
    async with Cluster.start(cluster_config, simulate=simulate) as started:
        yield started
