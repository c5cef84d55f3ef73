"""The cluster file's [traffic]: what it may say, and that it runs on and on."""

import json
import subprocess
import sys
import time

import pytest
import trio

from emulator.api.cluster_file import parse_cluster_file, read_cluster_file
from emulator.errors import ManifestError
from emulator.runtime.cluster.cluster import Cluster

QUICK = """
namespace = "busy"
manifests = ["pods.yaml"]
duration = "1s"

[[loads]]
from = "pod/client"
to = "ping://localhost"
rate = 5
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: shell, image: busybox}]}
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "load.toml").write_text(QUICK)
    (tmp_path / "pods.yaml").write_text(POD)
    path = tmp_path / "busy.toml"
    path.write_text('[traffic]\nfiles = ["load.toml"]\n')
    return path


def test_what_the_section_may_say(config, tmp_path):
    assert read_cluster_file(config).traffic == (tmp_path / "load.toml",)
    (tmp_path / "bad.toml").write_text("[[loads]]\nrat = 5\n")
    text = '[traffic]\nfiles = ["bad.toml", "nothing.toml"]\nfile = 1\n'
    with pytest.raises(ManifestError) as caught:
        parse_cluster_file(text, "c.toml", tmp_path)
    problems = caught.value.problems
    assert problems[0].startswith('c.toml:2: traffic.files[1]: Invalid value: "nothing.toml": no such file in')
    assert problems[1] == 'c.toml:3: traffic.file: unknown key; did you mean "files"?'
    assert f'{tmp_path}/bad.toml:2: loads[0].rat: unknown key; did you mean "rate"?' in problems


async def test_it_runs_round_after_round_beside_a_simulated_cluster(config, caplog, autojump_clock):
    caplog.set_level("INFO")
    async with Cluster.start(config, simulate=True) as cluster:
        await trio.sleep(20)
        assert [pod["metadata"]["name"] for pod in await cluster.objects("Pod", "busy")] == ["client"]
    rounds = [record for record in caplog.records if record.message == "traffic"]
    assert 5 <= len(rounds) <= 10
    assert {(record.sent, record.answered, record.failed) for record in rounds} == {(5, 5, 0)}


@pytest.mark.end_to_end
def test_it_is_a_process_that_ends_with_the_cluster(config, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("s") / "c")

    def emulator(*words):
        command = [sys.executable, "-m", "emulator", "--state-dir", directory, *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    started = emulator("start", str(config), "--detach")
    assert started.returncode == 0, started.stderr
    try:
        deadline = time.monotonic() + 30
        while '"answered": 5' not in (said := _log(directory)):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        processes = json.loads(emulator("status", "-o", "json").stdout)["supervisor"]["processes"]
        (traffic,) = (each for each in processes if each["name"] == "traffic")
        assert (traffic["restarts"], traffic["state"]) == (0, "running")
    finally:
        assert emulator("stop").returncode == 0


def _log(directory):
    with open(f"{directory}/logs/traffic.log") as log:
        return log.read()
