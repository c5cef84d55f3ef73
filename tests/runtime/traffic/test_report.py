import pytest

from emulator.api.traffic.assertion import parse_assertion
from emulator.apps.load.tally import Tally
from emulator.runtime.traffic.checks import check
from emulator.runtime.traffic.report import Cell, Event, Report
from emulator.runtime.traffic.report_text import amount, lines


def tally(latencies=(), errors=None, endpoints=None, unsent=0, sizes=(0, 0), sent=None):
    result = Tally()
    for latency in latencies:
        result.latencies.record(latency)
    result.errors.update(errors or {})
    result.endpoints.update(endpoints or {})
    result.sent = result.succeeded + result.failed if sent is None else sent
    result.unsent = unsent
    result.bytes_sent, result.bytes_received = sizes
    return result


CELLS = (
    Cell("browse", "client-1", "http://web/", tally((0.001, 0.002, 0.003), endpoints={"web-1": 2, "web-2": 1})),
    Cell("browse", "client-2", "http://web/", tally((0.1,), {"Connection refused": 1}, {"web-1": 1}, sizes=(1500, 9))),
    Cell("pay", "client-1", "http://pay/", tally((0.02,) * 4, endpoints={"pay": 4})),
)


def report(*assertions, cells=CELLS, **fields):
    seconds = {"browse": 4.0, "pay": 2.0}
    checks = check([parse_assertion(text) for text in assertions], cells, seconds, 4.0)
    return Report("shop", 4.0, cells, seconds, closed=frozenset({"pay"}), checks=tuple(checks), **fields)


@pytest.mark.parametrize(
    ("assertion", "value", "passed"),
    [
        ("errors == 0", "1", False),
        ("errors(Connection refused) == 1", "1", True),
        ("errors(No route to host) == 0", "0", True),
        ("error_rate < 12%", "11.11%", True),
        ("answered == 8", "8", True),
        ("sent >= 9", "9", True),
        ("endpoints == 3", "3", True),
        ("share(web-*) >= 50%", "50.00%", True),
        ("share(db) == 0%", "0.00%", True),
        ("least_share > 12%", "12.50%", True),
        ("greatest_share <= 49%", "50.00%", False),
        ("p50 < 21ms", "20.0ms", True),
        ("max < 100ms", "100.0ms", False),
        ("mean > 20ms", "23.2ms", True),
        ("rate == 2", "2.0", True),
        ("bytes_sent == 1.5kB", "1500", True),
    ],
)
def test_what_holds(assertion, value, passed):
    (found,) = report(assertion).checks
    assert (found.value, found.passed) == (value, passed)


def test_assertions_of_parts():
    each = parse_assertion("errors == 0", each="client")
    of = parse_assertion("rate == 2", load="pay")
    both = parse_assertion("endpoints <= 1", load="browse", each="client")
    seconds = {"browse": 4.0, "pay": 2.0}
    found = [(one.of, one.passed) for one in check([each, of, both], CELLS, seconds, 4.0)]
    assert found == [
        ("client-1", True),
        ("client-2", False),
        ("pay", True),
        ("browse, client-1", False),
        ("browse, client-2", True),
    ]


def test_latencies_of_nothing_are_no_success():
    nothing = (Cell("browse", "client-1", "http://web/", tally(errors={"Operation timed out": 3})),)
    (slow, quick) = report("p99 < 10s", "p99 > 1s", cells=nothing).checks
    assert (slow.passed, quick.passed) == (False, True)
    assert str(slow) == "p99 < 10s, but it is unknown: nothing was answered"


def test_the_report_as_text():
    whole = report("errors == 0", "answered > 0", events=(Event(1.25, "restarted deployment.apps/web"),))
    text = lines(whole)
    assert text[0] == "shop: 9 requests in 4.0 s, 2.0 answered a second"
    assert text[2].split()[:4] == ["LOAD", "SENT", "OK", "FAILED"]
    assert text[3] == "browse      5    4        1      2.0    100.0    100.0    100.0   1.5 kB   9 B"
    assert text[5].split()[:4] == ["total", "9", "8", "1"]
    assert [line.split()[0] for line in text if line] == [
        "shop:", "LOAD", "browse", "pay", "total", "CLIENT", "client-1", "client-2", "total", "TARGET", "http://web/",
        "http://pay/", "total", "ENDPOINT", "pay", "web-1", "web-2", "ERROR", "Connection", "Latency", "Latency", "1.2",
        "FAIL", "pass",
    ]  # fmt: skip
    assert "FAIL  errors == 0, but it is 1" in text
    assert whole.failures == ["errors == 0, but it is 1"]
    assert not whole.passed


def test_what_figures_leave_out_is_said():
    cells = (Cell("browse", "c", "http://web/", tally((0.001,), unsent=3, sent=2)),)
    text = "\n".join(lines(report(cells=cells, interrupted=True)))
    assert "4.0 s, interrupted, 0.2 answered" in text
    assert "3 requests were due but not sent" in text
    assert "1 requests were under way at the end" in text


def test_the_report_as_data():
    whole = report("errors == 1", events=(Event(2.0, "scaling failed", failed=True),), seed=5)
    data = whole.summary()
    assert (data["name"], data["seed"], data["interrupted"], data["passed"]) == ("shop", 5, False, False)
    assert whole.failures == ["scaling failed"]
    assert data["total"]["latency_ms"] == {"p50": 20.015, "p90": 100.0, "p99": 100.0, "max": 100.0, "mean": 23.25}
    assert [load["name"] + "/" + load["loop"] for load in data["loads"]] == ["browse/open", "pay/closed"]
    assert (data["loads"][1]["rate"], data["total"]["rate"]) == (2.0, 2.0)
    assert [client["name"] for client in data["clients"]] == ["client-1", "client-2"]
    assert data["total"]["endpoints"] == {"pay": 4, "web-1": 3, "web-2": 1}
    assert data["assertions"] == [{"that": "errors == 1", "of": "", "passed": True, "value": "1"}]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_940, "999.9 kB"),
        (999_960, "1.0 MB"),
        (12_345_678_901, "12.3 GB"),
    ],
)
def test_amounts(count, text):
    assert amount(count) == text
