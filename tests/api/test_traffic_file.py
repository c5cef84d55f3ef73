import pytest

from emulator.api.messages import LoadPace
from emulator.api.traffic.assertion import METRICS, AssertionSyntaxError, parse_assertion
from emulator.api.traffic.file import parse_traffic_file, read_traffic_file
from emulator.api.traffic.traffic import Verb
from emulator.api.traffic.url import UrlError, parse_target_url
from emulator.errors import ManifestError

LOAD = '[[loads]]\nfrom = "pod/client"\nto = "http://web/"\n'


def parsed(text, directory):
    return parse_traffic_file(text, "t.toml", directory)


def test_everything_that_a_file_may_say(tmp_path):
    (tmp_path / "shop.yaml").write_text("")
    scenario = parsed(
        """
description = "a shop"
namespace = "shop"
seed = 7
manifests = ["shop.yaml"]
duration = "1m"

[[loads]]
name = "browse"
from = ["deployment/web", "app=client"]
to = ["http://web:8080/a?b=c", { url = "https://web/", method = "PUT", headers = { X = "1" }, send = "s" }]
rate = 2.5
arrivals = "poisson"
connections = "keep"
lookup = "each"
in_flight = 9
start = "500ms"
timeout = 2

[[loads]]
from = "node/node-a"
to = { url = "tcp://sink:7001", size = "2.5MB" }
concurrency = 3
requests = 6
pause = "250ms"
duration = 5

[[phases]]
at = "5s"
scale = "deployment/web"
replicas = 0

[[phases]]
at = 6
apply = "shop.yaml"

[[assertions]]
load = "browse"
each = "client"
that = ["errors == 0", "p99 < 50ms"]
""",
        tmp_path,
    )
    browse, other = scenario.loads
    assert (scenario.name, scenario.namespace, scenario.seed) == ("t", "shop", 7)
    assert browse.clients == ("deployment/web", "app=client")
    assert browse.pace == LoadPace(duration=60.0, poisson=True, timeout=2.0, in_flight=9, keep=True, lookup_each=True)
    assert (browse.rate, browse.start) == (2.5, 0.5)
    first, second = browse.targets
    assert (first.host, first.port, first.path, first.method) == ("web", 8080, "/a?b=c", "GET")
    assert (second.port, second.method, second.headers, second.payload) == (443, "PUT", (("X", "1"),), b"s")
    assert (other.name, other.concurrency, other.requests, other.rate) == ("load-2", 3, 6, 0.0)
    assert (other.targets[0].size, other.pace.pause, other.pace.duration) == (2_500_000, 0.25, 5.0)
    assert len(other.targets[0].payload) == 65_536
    scale, apply = scenario.phases
    assert (scale.at, scale.verb, scale.what, scale.replicas) == (5.0, Verb.SCALE, "deployment/web", 0)
    assert apply.file == tmp_path / "shop.yaml"
    assert [(a.text, a.load, a.each) for a in scenario.assertions] == [
        ("errors == 0", "browse", "client"),
        ("p99 < 50ms", "browse", "client"),
    ]


def test_all_that_is_wrong_is_told_at_once_with_its_line(tmp_path):
    text = """namespace = "Shop"
duraton = 5
[[loads]]
from = []
to = "gopher://web/"
rate = 0
concurrency = 2
arrivals = "often"
timeout = "soon"
[[loads]]
name = "load-1"
from = "pod/client"
to = [{ url = "dns:web", send = "x" }, { url = "udp://a:1" }, { url = "tcp://a:1", size = "11GB" }, 5]
connections = "keep"
in_flight = 3
[[phases]]
scale = "deployment/web"
[[phases]]
at = 1
restart = "web"
[[phases]]
at = 2
[[assertions]]
load = "lod"
that = ["errors = 0"]
[[assertions]]
each = "pod"
"""
    with pytest.raises(ManifestError) as caught:
        parsed(text, tmp_path)
    found = [problem.removeprefix("t.toml:") for problem in caught.value.problems]
    for line, words in [
        (1, 'namespace: Invalid value: "Shop"'),
        (2, 'duraton: unknown key; did you mean "duration"?'),
        (4, "loads[0].from: Required value: who asks"),
        (5, "loads[0].to: Invalid value: gopher://web/: must begin with one of http://"),
        (6, "loads[0].rate: Invalid value: 0: must be more than 0"),
        (7, "loads[0].concurrency: Forbidden: a load is either an open loop"),
        (8, 'loads[0].arrivals: Unsupported value: "often": supported values: "constant", "poisson"'),
        (9, 'loads[0].timeout: Invalid value: "soon": must be a time'),
        (11, 'loads[1].name: Duplicate value: "load-1"'),
        (13, "loads[1].to[0].send: Forbidden: a dns target has its question in its URL"),
        (13, "loads[1].to[1].send: Required value: a datagram"),
        (13, 'loads[1].to[2].size: Invalid value: "11GB": must be at most 10000000000 bytes'),
        (13, "loads[1].to[3]: Invalid value: 5: must be a table"),
        (14, 'loads[1].connections: Forbidden: "keep" is for http, https and udp'),
        (15, "loads[1].in_flight: Forbidden: it is of an open loop"),
        (16, 'phases[0].at: Required value: when, such as "5s"'),
        (16, "phases[0].replicas: Required value: how many pods"),
        (20, 'phases[1].restart: Invalid value: "web": must be KIND/NAME'),
        (21, "phases[2]: Required value: one of apply, delete, scale, restart"),
        (24, 'assertions[0].load: Not found: "lod": the loads are "load-1"'),
        (25, "assertions[0].that[0]: Invalid value: must be such as"),
        (26, "assertions[1].that: Required value"),
        (27, 'assertions[1].each: Unsupported value: "pod": supported values: "load", "client", "target"'),
    ]:
        assert any(problem.startswith(f"{line}: {words}") for problem in found), (line, words, found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.toml: loads: Required value: no traffic"),
        ("loads = 5", r"t.toml:1: loads: must be a list of tables: write \[\[loads\]\]"),
        ("= 5", "t.toml:1: not valid TOML"),
        (f"{LOAD}rate = 1e9\n", r"loads\[0\].rate: Invalid value: 1000000000.0: must be at most 1,000,000"),
        (
            f"{LOAD}concurrency = 1000000000\n",
            r"loads\[0\].concurrency: Invalid value: 1000000000: must be at most 10,000",
        ),
        (f"{LOAD}rate = 1\nin_flight = 20000\n", r"loads\[0\].in_flight: Invalid value: 20000: must be at most 10,000"),
        (f'manifests = ["no.yaml"]\n{LOAD}', "no such file in"),
    ],
)
def test_files_that_are_none(tmp_path, text, message):
    with pytest.raises(ManifestError, match=message):
        parsed(text, tmp_path)
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_traffic_file(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://web", ("http", "web", 80, "/")),
        ("https://web.shop:8443/x", ("https", "web.shop", 8443, "/x")),
        ("tcp://10.0.0.1:5432", ("tcp", "10.0.0.1", 5432, "")),
        ("ping://db-0.db", ("ping", "db-0.db", 0, "")),
        ("dns:web", ("dns", "", 53, "web")),
        ("dns://10.96.0.10:5353/web.default.?type=srv", ("dns", "10.96.0.10", 5353, "web.default.")),
    ],
)
def test_targets(url, expected):
    target = parse_target_url(url)
    assert (target.protocol, target.host, target.port, target.path) == expected
    assert target.url == url
    assert target.record == (33 if "srv" in url else 1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("web", "must begin with one of"),
        ("http://", "a host is missing"),
        ("http://we b/", "is no host name"),
        ("http://1.2.3/", "is no IPv4 address"),
        ("http://web:99999/", "out of range"),
        ("http://me@web/", "cannot be in it"),
        ("tcp://web", "a port is missing: tcp://web:PORT"),
        ("udp://web:1/x", "udp has no path"),
        ("ping://web:1", "ping has no port"),
        ("dns:", "must be dns:NAME"),
        ("dns:web?type=XYZ", "unknown type XYZ; known are A, "),
        ("dns:web?class=IN", "only type=A"),
    ],
)
def test_targets_that_cannot_be(url, message):
    with pytest.raises(UrlError, match=message):
        parse_target_url(url)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("errors == 0", 0),
        ("errors(Connection refused)<=3", 3),
        ("error_rate <= 0.1%", 0.001),
        ("p99 < 50ms", 0.05),
        ("p99.9 < 1.5s", 1.5),
        ("max != 200us", 0.0002),
        ("share(web-*) >= 20%", 0.2),
        ("rate > 100/s", 100),
        ("bytes_sent == 30MB", 30_000_000),
        ("bytes_received > 1KiB", 1024),
    ],
)
def test_assertions(text, bound):
    assertion = parse_assertion(text)
    assert assertion.metric in METRICS
    assert assertion.bound == pytest.approx(bound)
    assert assertion.holds(assertion.bound) == (assertion.comparison in ("==", "<=", ">="))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("errors", "must be such as"),
        ("errors = 0", "must be such as"),
        ("erors == 0", 'unknown metric erors; did you mean "errors"?'),
        ("p99 < 50", "p99 is a time, such as 50ms, not 50"),
        ("errors == 1%", "errors is a whole number, not 1%"),
        ("error_rate < 1", "error_rate is a percentage"),
        ("share > 1%", "share needs to know of what"),
        ("p99(web) < 1s", r"p99 is not of something: leave \(web\) out"),
    ],
)
def test_assertions_that_cannot_be(text, message):
    with pytest.raises(AssertionSyntaxError, match=message):
        parse_assertion(text)
