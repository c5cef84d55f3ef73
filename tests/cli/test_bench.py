"""`emulator bench`: its text and JSON, its refusals, and that Ctrl-C leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

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
def test_an_interruption_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("bench", "start", "--nodes", "2", "--runs", "1"),
        env={**environment(), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert "run 1 of 1" in process.stderr.readline()
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())
