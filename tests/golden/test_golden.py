"""Golden traces: the whole way of a packet, file by file, as `emulator trace` prints it."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest
from trio.testing import MockClock

from emulator.api.trace.text import in_order
from emulator.cli.target import Target
from emulator.cli.trace import _as_text, _rendered
from emulator.cli.trace import trace as trace_command
from emulator.cli.trace_names import Directory, Flow
from emulator.runtime.cluster.cluster import Cluster
from tests.golden.canonical import PODS, canonical
from tests.scenarios.world import CONFIG, apply

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))
UPDATE = os.environ.get("PODWIRE_UPDATE_GOLDEN") == "1"
PROMPT = "$ emulator trace "


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_golden(autojump_clock: MockClock, path: Path) -> None:
    head, prompt, rest = path.read_text().partition(PROMPT)  # noqa: ASYNC240
    assert prompt, f"{path.name} has no line that begins with {PROMPT!r}"
    command, _, expected = rest.partition("\n")
    async with Cluster.start(CONFIG, simulate=True) as cluster:
        await apply(cluster, (HERE / "cluster.yaml").read_text())
        printed = await canonical(cluster, await run(cluster, shlex.split(command)))
    if UPDATE:
        path.write_text(f"{head}{PROMPT}{command}\n{printed}")  # noqa: ASYNC240
    else:
        assert printed == expected


async def run(cluster: Cluster, words: list[str]) -> str:
    """Do what the command does, over the Python API: trio's clock is a mock, and the command's is not."""
    options = trace_command.make_context("trace", words).params
    asked = next(((name, options[name]) for name in ("tcp", "udp") if options[name]), None)
    if options["icmp"]:
        asked = ("icmp", 0)
    directory = await read(cluster)
    flow: Flow = directory.flow(options["destination"], "default", asked)
    start = await source(cluster, options["source"])
    traced = await cluster.trace(
        options["source"], flow.destination, protocol=flow.protocol, port=flow.port, patience=options["timeout"]
    )
    steps = in_order(traced.steps)
    lines = _rendered(directory, flow, traced.result, steps, verbose=options["verbose"])
    return "".join(f"{click.unstyle(line)}\n" for line in _as_text(start, flow, traced.result, lines))


async def read(cluster: Cluster) -> Directory:
    services, pods, nodes = [await cluster.objects(kind) for kind in ("Service", "Pod", "Node")]
    return Directory(services, pods, nodes, (await cluster.status()).hosts)


async def source(cluster: Cluster, word: str) -> Target:
    kind, _, name = word.rpartition("/")
    if kind == "host":
        return Target("cloud", "", name, {})
    if kind == "node":
        return Target(name, "", "", await cluster.get("Node", name))
    pod = await cluster.get("Pod", name, "default")
    return Target(pod["spec"]["nodeName"], "default", name, pod)


def test_files_say_what_they_show() -> None:
    """Each begins with its explanation, and has nothing in it that changes from run to run."""
    assert len(FILES) >= 7
    for path in FILES:
        text = path.read_text()
        assert text.startswith("# "), path.name
        assert not re.search(
            r"[0-9a-f]{8}-[0-9a-f]{4}-|([0-9a-f]{2}:){5}[0-9a-f]{2}", text.replace("00:" * 5 + "00", "")
        )
    assert len({*PODS.values()}) == len(PODS)
