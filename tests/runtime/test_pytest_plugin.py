import subprocess
import sys

import emulator
from emulator.runtime.cluster.cluster import Cluster


async def test_cluster_fixture_is_ready(cluster: Cluster) -> None:
    overview = await cluster.status()
    assert [node.ready for node in overview.nodes] == [True, True]
    assert emulator.Cluster is Cluster


def test_plugin_and_package_import_nothing_slow() -> None:
    program = "import sys, emulator, emulator.runtime.pytest_plugin; print('trio' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
