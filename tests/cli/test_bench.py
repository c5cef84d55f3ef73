"""`emulator bench`: its text and JSON, its refusals, and that Ctrl-C leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from emulator.cli.bench.main import forward_lines
from emulator.cli.bench.services import services_lines
from emulator.runtime.bench.forward import ForwardReport
from emulator.runtime.bench.services import ModeReport, ServicesReport, percentile
from emulator.runtime.bench.spread import Spread
from emulator.runtime.bench.traffic import Transfer
from tests.cli.conftest import command, environment, run


@pytest.mark.end_to_end
def test_start_tells_json(tmp_path: Path) -> None:
    done = run("bench", "start", "--nodes", "1", "--runs", "1", "-o", "json", extra={"TMPDIR": str(tmp_path)})
    assert done.status == 0, done.err
    (report,) = json.loads(done.out)
    assert (report["nodes"], report["runs"], report["left"]) == (1, 1, [])
    assert set(report["answered"]) == {"median", "minimum", "maximum"}
    assert {"name", "pid", "pss", "private", "rss"} == set(report["processes"][0])
    assert "run 1 of 1" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.end_to_end
def test_forward_tells_text() -> None:
    words = ("--packets", "100", "--megabytes", "1", "--requests", "4", "--cost-packets", "50")
    done = run("bench", "forward", *words)
    assert done.status == 0, done.err
    assert "100 of 100 (0.00% lost)" in done.out
    assert "Mbit/s" in done.out
    assert "requests/s, median" in done.out
    assert "sender's, 10 Services" in done.out
    assert "sender's, 1000 Services" in done.out


def test_forward_tells_json_without_processes() -> None:
    done = run(
        "bench",
        "forward",
        "--packets",
        "0",
        "--megabytes",
        "0",
        "--requests",
        "0",
        "--cost-packets",
        "50",
        "-o",
        "json",
    )
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert [report[name] for name in ("udp", "tcp", "http", "kernel")] == [None] * 4
    assert [cost["services"] for cost in report["costs"]] == [10, 1000]


@pytest.mark.parametrize(
    "words", [("start", "--nodes", "0"), ("start", "--runs", "x"), ("forward", "--size", "4"), ("forwards",)]
)
def test_bad_words_are_refused(words: tuple[str, ...]) -> None:
    done = run("bench", *words)
    assert done.status == 2
    assert done.err.count("\n") == 1


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("everybody", [True, False], ids=["group", "alone"])
def test_an_interruption_leaves_nothing(number: signal.Signals, everybody: bool, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("bench", "start", "--nodes", "2", "--runs", "1"),
        env={**environment(), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert "run 1 of 1" in process.stderr.readline()
    wait_for_supervisor(tmp_path)
    (os.killpg if everybody else os.kill)(process.pid, number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


def wait_for_supervisor(directory: Path) -> None:
    """Wait until the cluster of the benchmark has begun to come up."""
    deadline = time.monotonic() + 30
    while not list(directory.glob("podwire-bench-*/state/lock")):
        assert time.monotonic() < deadline, "no cluster came up"
        time.sleep(0.01)


@pytest.mark.end_to_end
def test_an_interruption_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    for milliseconds in range(0, 500, 100):
        process = subprocess.Popen(
            command("bench", "start", "--nodes", "1", "--runs", "1"),
            env={**environment(), "TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        process.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(milliseconds / 1000)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert not list(tmp_path.iterdir()), f"interrupted after {milliseconds} ms"


def test_rules_tell_text_and_json() -> None:
    done = run("bench", "rules", "--rules", "200", "--runs", "1")
    assert done.status == 0, done.err
    assert "load the same again" in done.out
    report = json.loads(run("bench", "rules", "--rules", "200", "--runs", "1", "-o", "json").out)
    assert report["rules"] >= 200
    assert report["kernel"] is None


@pytest.mark.end_to_end
def test_services_tell_text_and_json(tmp_path: Path) -> None:
    words = ("bench", "services", "--services", "20", "--nodes", "2", "--changes", "4", "--restarts", "1")
    done = run(*words, "--mode", "iptables", "-o", "json", extra={"TMPDIR": str(tmp_path)})
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["services"], report["nodes"], report["changes"]) == (20, 2, 4)
    (mode,) = report["modes"]
    assert mode["mode"] == "iptables"
    assert 0 < mode["all_nodes"]["minimum"] <= mode["percentile"] == mode["all_nodes"]["maximum"] < 5
    assert 0 < mode["first_sync"]["median"] < mode["restart"]["median"]
    assert not list(tmp_path.iterdir())


def test_the_text_of_services() -> None:
    one = Spread.of([0.01, 0.02, 0.03])
    mode = ModeReport(
        mode="ipvs",
        all_nodes=one,
        percentile=0.03,
        one_node=one,
        one_percentile=0.03,
        sync=one,
        first_sync=None,
        restart=None,
        memory=None,
    )
    report = ServicesReport(services=1000, nodes=3, changes=3, load=0.5, created=2.0, modes=(mode,))
    lines = services_lines(report)
    assert lines[0].split() == ["ipvs,", "1,000", "Services,", "3", "nodes", "median", "p99", "max", "target"]
    assert " ".join(lines[1].split()) == "change on every node (3) 20.0 ms 30 ms 30 ms p99 200 ms"
    assert "1,000 Services made and on all nodes: 2.0 s" in lines


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([5.0], 0.99, 5.0), (range(1, 101), 0.99, 99), (range(1, 11), 0.99, 10), (range(1, 201), 0.5, 100)],
)
def test_a_percentile_is_a_value_that_was_measured(values: Iterable[float], share: float, found: float) -> None:
    assert percentile([*values][::-1], share) == found


def test_bytes_that_changed_on_their_way_are_told() -> None:
    transfer = Transfer(sent=1_000_000, delivered=1_000_000, seconds=0.5, intact=False)
    report = ForwardReport(size=64, load=0.0, udp=None, tcp=transfer, http=None, kernel=None, costs=())
    line = next(line for line in forward_lines(report) if line.startswith("TCP"))
    assert "1 MB, CORRUPTED" in line
    assert "16 Mbit/s (2.0 MB/s, 0.5 s)" in line
