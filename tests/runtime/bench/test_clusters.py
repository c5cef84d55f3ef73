"""Benchmarks over real processes: what they tell with tiny counts, and that they leave nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.runtime.bench import forward
from emulator.runtime.bench.cluster import BenchCluster, BenchError, bench_cluster, cluster_file
from emulator.runtime.bench.forward import MANIFEST, ForwardPlan, measure_forward
from emulator.runtime.bench.start import measure_start

pytestmark = pytest.mark.end_to_end


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the directory in which benchmarks make theirs; it must be empty again at the end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert not list(tmp_path.iterdir())


def test_a_start_is_measured_from_the_process_to_the_answer_and_to_the_end() -> None:
    said: list[str] = []
    report = measure_start(1, 1, said.append)
    assert (report.nodes, report.runs, report.left) == (1, 1, ())
    assert 0 < report.ready.median < report.answered.median
    assert min(report.stopped.median, report.processor.median) > 0
    assert {each.name for each in report.processes} == {"controller", "node-1", "cloud", "supervisor", "launcher"}
    assert report.node_pss is not None
    assert report.node_private is not None
    assert report.node_private.median <= report.node_pss.median
    assert len(said) == 2


def test_packets_bytes_and_requests_are_counted_where_they_arrive() -> None:
    plan = ForwardPlan(packets=300, size=100, bytes=200_000, requests=12, cost_packets=0, kernel=False)
    report = measure_forward(plan, lambda _line: None)
    assert report.udp is not None
    assert report.tcp is not None
    assert report.http is not None
    assert (report.udp.sent, report.udp.delivered, report.udp.loss) == (300, 300, 0)
    assert (report.tcp.sent, report.tcp.delivered, report.tcp.intact) == (200_000, 200_000, True)
    assert (report.http.sent, report.http.delivered) == (12, 12)
    assert min(report.udp.rate, report.tcp.rate, report.http.rate, report.http.median or 0) > 0
    assert report.kernel is None
    assert report.costs == ()


def test_nothing_runs_where_everything_is_left_out() -> None:
    plan = ForwardPlan(packets=0, size=64, bytes=0, requests=0, cost_packets=0, kernel=False)
    report = measure_forward(plan, pytest.fail)
    assert (report.udp, report.tcp, report.http, report.costs) == (None, None, None, ())


def test_a_load_that_cannot_be_made_says_why() -> None:
    with bench_cluster(cluster_file(2), MANIFEST) as cluster:
        cluster.start()
        with pytest.raises(BenchError, match='"web" is no ADDRESS:PORT'):
            forward._load(cluster, "udp?to=web&count=1")
        with pytest.raises(BenchError, match="Connection refused"):
            forward._load(cluster, "tcp?to=127.0.0.1:81&count=1")


def test_a_command_that_fails_says_which_and_why() -> None:
    with bench_cluster("[cluster]\nnodes = 3\n", "") as cluster, pytest.raises(BenchError, match="start"):
        cluster.start()


def test_a_cluster_that_still_runs_is_ended_with_the_block() -> None:
    def use(cluster: BenchCluster) -> None:
        cluster.start()
        assert cluster.processes()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), bench_cluster(cluster_file(1), MANIFEST.replace("node-2", "node-1")) as one:
        use(one)
    assert not one.state_directory.exists()
