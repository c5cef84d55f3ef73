"""Each script of scripts/traffic on a simulated configs/3node.toml: its assertions hold, and nothing of it is left."""

from pathlib import Path

import pytest

from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.traffic.report_text import lines
from emulator.runtime.traffic.scripts import load_script

SCRIPTS = Path(__file__).parents[2] / "scripts" / "traffic"
CONFIG = Path(__file__).parents[2] / "configs" / "3node.toml"
KINDS = ("Namespace", "Pod", "Service", "Deployment", "DaemonSet", "EndpointSlice")


def smaller(script, tmp_path):
    """The script; bulk.toml with a tenth of its bytes, which take a simulation as long as a real cluster."""
    if script != "bulk.toml":
        return SCRIPTS / script
    text = (SCRIPTS / script).read_text().replace("10MB", "1MB").replace("10000000", "1000000").replace("30MB", "3MB")
    path = tmp_path / script
    path.write_text(text.replace('"manifests/', f'"{SCRIPTS}/manifests/'))
    return path


async def names(cluster):
    return {(kind, obj["metadata"]["name"]) for kind in KINDS for obj in await cluster.objects(kind)}


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir() if path.is_file()))
async def test_a_script_holds_what_it_asserts_and_leaves_nothing(script, tmp_path, autojump_clock):
    async with Cluster.start(CONFIG, simulate=True, seed=1) as cluster:
        before = await names(cluster)
        report = await load_script(smaller(script, tmp_path)).run(cluster, {})
        text = "\n".join(lines(report))
        assert report.passed, text
        assert report.total.unsent == 0, text
        assert await names(cluster) == before
