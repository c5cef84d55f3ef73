import errno

import pytest
import trio

from emulator.apps.environment import ResolveError
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.cluster.traffic import (
    FailedError,
    Load,
    Report,
    Results,
    error_kind,
    hostname_of,
    http_get,
    progress_line,
    udp_exchange,
)


def answer_after(delay, endpoint="web-1"):
    async def request():
        await trio.sleep(delay)
        return endpoint

    return request


async def test_a_load_keeps_its_rate_and_times_each_request(autojump_clock):
    load = Load(10.0)
    load.add("quick", answer_after(0.01), 50)
    load.add("slow", answer_after(0.5, "web-2"), 10)
    report = await load.run()
    quick, slow = report.results
    assert (quick.sent, slow.sent, quick.failed) == (500, 100, 0)
    assert quick.quantiles() == dict.fromkeys(("p50", "p90", "p99", "max"), 10.0)
    assert report.total.endpoints == {"web-1": 500, "web-2": 100}
    assert 10.0 < report.duration <= 10.5
    summary = report.summary()
    assert summary["total"]["sent"] == 600
    assert summary["sources"][1]["latency_ms"]["p99"] == 500.0


async def test_latency_counts_from_when_a_request_was_due(autojump_clock):
    stalls = iter([2.0])

    async def request():
        await trio.sleep(next(stalls, 0.0))
        return ""

    load = Load(3.0)
    load.add("one", request, 1)
    assert sorted((await load.run()).results[0].latencies) == [0.0, 0.0, 2.0]
    held_up = Load(3.0)
    held_up.add("many", answer_after(1.0), 100)
    results = (await held_up.run()).results[0]
    assert results.sent < 300
    assert results.quantiles()["max"] > 1_500.0


async def test_errors_are_counted_by_kind_and_others_end_the_load(autojump_clock):
    errors = [OSError(errno.ECONNREFUSED, "10.0.0.1: refused"), FailedError("HTTP 503"), trio.BrokenResourceError()]

    async def request():
        if errors:
            raise errors.pop()
        await trio.sleep_forever()

    load = Load(0.4)
    load.add("bad", request, 10)
    results = (await load.run()).results[0]
    assert results.errors == {"connection refused": 1, "HTTP 503": 1, "connection broken": 1, "timeout": 1}
    assert results.quantiles() == {}

    async def mistaken():
        raise ZeroDivisionError

    load = Load(1.0)
    load.add("mistaken", mistaken, 1)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await load.run()


def test_kinds_of_errors_have_no_names_in_them():
    reset = trio.BrokenResourceError("x")
    reset.__cause__ = OSError(errno.ECONNRESET, "x")
    assert error_kind(reset) == "connection reset by peer"
    assert error_kind(ResolveError("Could not resolve host: web")) == "name not resolved"
    assert error_kind(OSError(errno.EIO, "the node is away")) == "the node is away"


async def test_progress_is_told_while_it_runs(autojump_clock):
    told = []
    token = progress_line.set(told.append)
    load = Load(2.0)
    progress_line.reset(token)
    load.add("one", answer_after(0.1), 10)
    await load.run()
    assert [round(progress.elapsed, 1) for progress in told] == [0.5, 1.0, 1.5, 2.0]
    assert [progress.sent for progress in told] == [5, 10, 15, 20]
    assert sum(progress.rate for progress in told) / 4 == pytest.approx(10.0, abs=1.0)
    assert "0 failed   100.0 ms mean" in str(told[-1])


def test_percentiles_are_exact():
    results = Results("one")
    results.latencies.extend(number / 1000 for number in range(100, 0, -1))
    assert results.quantiles() == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    results.latencies = results.latencies[:1]
    assert results.quantiles() == dict.fromkeys(("p50", "p90", "p99", "max"), 100.0)


def test_the_report_as_text():
    results = Results("client http", sent=4)
    results.latencies.extend((0.001, 0.002, 0.003))
    results.endpoints.update({"web-1": 2, "web-2": 1})
    results.errors["timeout"] = 1
    lines = Report(2.0, (results,)).lines()
    assert lines[0].split() == ["SOURCE", "SENT", "OK", "FAILED", "P50", "MS", "P90", "MS", "P99", "MS", "MAX", "MS"]
    assert lines[1] == "client http      4    3        1      2.0      3.0      3.0      3.0"
    assert "4 requests in 2.0 s, 1.5 answered a second" in lines
    assert [line.split() for line in lines[7:9]] == [["web-1", "2", "66.7%"], ["web-2", "1", "33.3%"]]
    assert lines[-1].split() == ["timeout", "1", "100.0%"]


async def test_a_load_must_be_possible():
    with pytest.raises(PodwireError, match="no source"):
        await Load(1).run()
    with pytest.raises(PodwireError, match="more than 0"):
        Load(1).add("none", answer_after(0), 0)
    with pytest.raises(PodwireError, match="not a URL"):
        http_get(None, "https://web/")


def test_who_answered():
    assert hostname_of(b"Hostname: web-1\nIP: 10.0.0.1\n") == "web-1"
    assert hostname_of(b"web-1\n") == "web-1"
    assert hostname_of(b"<!DOCTYPE html>") == ""
    assert hostname_of(b"") == ""


async def test_http_and_udp_from_pods_of_a_cluster(autojump_clock):
    async with Cluster.start("configs/3node.toml", simulate=True, seed=1) as cluster:
        place = await cluster.pod("client").located()
        assert await place.node_name() == await cluster.pod("client").node_name()
        load = Load(2.0)
        load.add("http", http_get(place, "http://web/"), 20)
        load.add("missing", http_get(place, "http://web/nothing?x=1", lambda body: "somebody"), 5)
        load.add("closed", http_get(place, "http://localhost:81/"), 5)
        load.add("unknown", http_get(place, "http://nobody/"), 5)
        load.add("udp", udp_exchange(place, "kube-dns.kube-system", 53, lambda: b"x" * 12, lambda _: "dns"), 5)
        report = await load.run()
    http, missing, closed, unknown, udp = report.results
    assert (http.sent, http.failed) == (40, 0)
    assert len(http.endpoints) == 3
    assert all(name.startswith("web-") for name in http.endpoints)
    assert missing.sent == 10
    assert closed.errors == {"connection refused": 10}
    assert unknown.errors == {"name not resolved": 10}
    assert udp.sent == 10
