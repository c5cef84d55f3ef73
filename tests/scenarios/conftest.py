"""The `cluster` fixture (of the product's pytest plugin) with three nodes; each test asks for the mock clock itself."""

import pytest

from emulator.api.cluster_file import ClusterConfig
from tests.scenarios.world import CONFIG


@pytest.fixture
def cluster_config() -> ClusterConfig:
    return CONFIG
