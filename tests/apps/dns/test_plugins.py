"""The plugins of a Corefile but `kubernetes`: each in a server of its own, asked over the pods' network."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from emulator.apps.dns.cache import Kind, classify
from emulator.apps.dns.corefile import CorefileError, parse_corefile
from emulator.packet import dns
from emulator.packet.dns_record import SOA, Record, Soa
from tests.apps.conftest import Lab

from .world import answers, query, start, written

ZONE_FILE = """\
$TTL 1h
$ORIGIN example.org.
@       IN SOA ns hostmaster ( 7 2h 30m
                               1w 60 ) ; the last is for denials
        IN NS  ns
        3600 MX 10 mail.other.
ns      A      192.0.2.53
www     60 IN A 192.0.2.1
www     60    A 192.0.2.2
www     AAAA   2001:db8::1
alias   CNAME  www
far     CNAME  www.example.net.
ring-1  CNAME  ring-2
ring-2  CNAME  ring-1
*.wild  TXT    "any name" "in two strings"
a.b     A      192.0.2.9
_sip._tcp SRV  0 5 5060 ns
sub     NS     ns.sub
ns.sub  A      192.0.2.60
"""
HOSTS = """\
. {
    hosts /etc/names example.net example.com {
        192.0.2.80 www.example.net extra.example.net
        2001:db8::80 www.example.net
        ttl 77
        fallthrough example.net
    }
    file /zones/example.org example.org
    forward . 127.0.0.1:9
}
"""


async def test_hosts_and_zone_files(lab: Lab, autojump_clock: MockClock) -> None:
    files = {"/etc/names": "192.0.2.90 www.example.com # a comment\nnonsense\n", "/zones/example.org": ZONE_FILE}
    await start(lab, HOSTS, files=files)
    table: list[tuple[str, str, int, list[str]]] = [
        ("www.example.net.", "A", 0, ["www.example.net. 77 A 192.0.2.80"]),
        ("WWW.example.net.", "AAAA", 0, ["WWW.example.net. 77 AAAA 2001:db8::80"]),
        ("extra.example.net.", "AAAA", 0, []),
        ("www.example.com.", "A", 0, ["www.example.com. 77 A 192.0.2.90"]),
        ("nope.example.com.", "A", dns.SERVFAIL, []),  # no SOA to deny it with
        (
            "80.2.0.192.in-addr.arpa.",
            "PTR",
            0,
            [f"80.2.0.192.in-addr.arpa. 77 PTR {name}.example.net." for name in ("extra", "www")],
        ),
        ("www.example.org.", "A", 0, [f"www.example.org. 60 A 192.0.2.{last}" for last in (1, 2)]),
        ("www.example.org.", "AAAA", 0, ["www.example.org. 3600 AAAA 2001:db8::1"]),
        (
            "alias.example.org.",
            "A",
            0,
            [
                "alias.example.org. 3600 CNAME www.example.org.",
                *(f"www.example.org. 60 A 192.0.2.{last}" for last in (1, 2)),
            ],
        ),
        (
            "far.example.org.",
            "A",
            0,
            ["far.example.org. 3600 CNAME www.example.net.", "www.example.net. 77 A 192.0.2.80"],
        ),
        ("example.org.", "MX", 0, ["example.org. 3600 MX 10 mail.other."]),
        ("example.org.", "NS", 0, ["example.org. 3600 NS ns.example.org."]),
        ("x.wild.example.org.", "TXT", 0, ['x.wild.example.org. 3600 TXT "any name" "in two strings"']),
        ("x.wild.example.org.", "A", 0, []),
        ("b.example.org.", "A", 0, []),  # only above a name
        ("c.b.example.org.", "A", dns.NXDOMAIN, []),
        ("_sip._tcp.example.org.", "SRV", 0, ["_sip._tcp.example.org. 3600 SRV 0 5 5060 ns.example.org."]),
        ("nope.example.org.", "A", dns.NXDOMAIN, []),
    ]
    for name, kind, rcode, expected in table:
        message = await query(lab, name, kind)
        assert (message.rcode, answers(message)) == (rcode, expected), (name, kind, message)
        if not expected and rcode != dns.SERVFAIL and name.endswith("example.org."):
            soa = "example.org. 3600 SOA ns.example.org. hostmaster.example.org. 7 7200 1800 604800 60"
            assert [written(record) for record in message.authorities] == [soa]
    assert len((await query(lab, "ring-1.example.org.", "A")).answers) == 8
    referral = await query(lab, "x.sub.example.org.", "A")
    assert not referral.authoritative
    assert [written(record) for record in referral.authorities] == ["sub.example.org. 3600 NS ns.sub.example.org."]


async def test_rewritten_names_are_answered_under_the_name_asked_for(lab: Lab, autojump_clock: MockClock) -> None:
    await start(
        lab,
        """. {
        rewrite name shop.example.com svc1.testns.svc.cluster.local
        rewrite name suffix .testns.internal .testns.svc.cluster.local
        rewrite stop {
        }
        kubernetes cluster.local
        }""".replace(
            "rewrite stop {\n        }\n", "rewrite name regex (.*)-(.*)\\.short\\. {1}.{2}.svc.cluster.local\n"
        ),
    )
    for name in ("shop.example.com.", "Svc1.testns.internal.", "svc1-testns.short."):
        assert answers(await query(lab, name, "A")) == [f"{name} 5 A 10.0.0.1"]
    assert (await query(lab, "else.example.com.", "A")).rcode == dns.SERVFAIL


async def test_answers_and_denials_are_kept_as_long_as_they_say(lab: Lab, autojump_clock: MockClock) -> None:
    """The inner server is asked by one that keeps answers; what changes there is seen when its time is over."""
    zone = "$ORIGIN example.org.\n@ SOA ns host 1 1 1 1 8\nlong 900 A 192.0.2.1\nshort 1 A 192.0.2.2\n"
    files = {"/zone": zone}
    await start(lab, ". {\n file /zone example.org\n reload 2s\n}", files=files)
    await start(lab, ".:53 {\n cache 30\n forward . /etc/resolv.conf\n}", pod="server")

    async def told(name: str) -> tuple[int, list[str]]:
        message = await query(lab, f"{name}.example.org.", "A", pod="server")
        records = message.answers or message.authorities
        return message.rcode, [f"{record.ttl} {record.data if record.type != SOA else 'SOA'}" for record in records]

    first = {name: await told(name) for name in ("long", "short", "nope")}
    assert first == {
        "long": (0, ["30 3221225985"]),
        "short": (0, ["5 3221225986"]),
        "nope": (dns.NXDOMAIN, ["8 SOA"]),
    }
    assert not (await lab.run("iptables -A INPUT -i eth0 -j DROP", "dns")).status
    await trio.sleep(4)
    assert {name: await told(name) for name in first} == {
        "long": (0, ["26 3221225985"]),
        "short": (0, ["1 3221225986"]),
        "nope": (dns.NXDOMAIN, ["4 SOA"]),
    }
    await trio.sleep(5)
    assert (await told("nope"))[0] == dns.SERVFAIL
    assert (await told("long"))[0] == 0


async def test_a_forwarder_gives_up_after_five_seconds_and_finds_a_server_that_comes_back(
    lab: Lab, autojump_clock: MockClock
) -> None:
    await start(lab, ". {\n hosts {\n 192.0.2.1 a.example\n }\n}")
    await start(lab, ". {\n forward . 10.244.1.4 10.244.1.2 {\n policy sequential\n }\n}", pod="server")
    assert answers(await query(lab, "a.example.", "A", pod="server")) == ["a.example. 3600 A 192.0.2.1"]
    assert not (await lab.run("iptables -A INPUT -i eth0 -j DROP", "dns")).status
    begin = trio.current_time()
    assert (await query(lab, "a.example.", "A", pod="server")).rcode == dns.SERVFAIL
    assert 4.9 < trio.current_time() - begin < 5.2
    assert not (await lab.run("iptables -F", "dns")).status
    await trio.sleep(3)
    assert answers(await query(lab, "a.example.", "A", pod="server", tcp=True)) == ["a.example. 3600 A 192.0.2.1"]


async def test_a_server_that_asks_itself_ends(lab: Lab, autojump_clock: MockClock) -> None:
    statuses = await lab.start("coredns", files={"/etc/coredns/Corefile": ". {\n loop\n forward . 10.244.1.3\n}"})
    await trio.sleep(5)
    assert statuses == [1]
    assert "plugin/loop: Loop (" in lab.logs["server"][-1]


async def test_health_and_readiness(lab: Lab, autojump_clock: MockClock) -> None:
    directory = await start(lab)
    for url, body in (("8080/health", "OK"), ("8181/ready", "OK"), ("8080/x", "404 page not found\n")):
        assert (await lab.run(f"curl -s http://10.244.1.4:{url}")).out == body
    directory.synced = False
    assert (await lab.run("curl -s -o /dev/null -w %{http_code} http://10.244.1.4:8181/ready")).out == "503"
    message = await query(lab, "nope.testns.svc.cluster.local.", "A")
    assert message.rcode == dns.SERVFAIL  # it may be there: the server does not know yet


async def test_a_changed_corefile_is_read_anew_and_a_bad_one_is_not(lab: Lab, autojump_clock: MockClock) -> None:
    files = {"/etc/coredns/Corefile": ". {\n reload 10s\n hosts {\n 192.0.2.1 a.example\n }\n}"}
    statuses = await lab.start("coredns", "dns", files=files)
    assert not statuses
    files["/etc/coredns/Corefile"] = ". {\n nonsense\n}"
    await trio.sleep(11)
    assert "[ERROR] Restart failed" in lab.logs["dns"][-1]
    assert len((await query(lab, "a.example.", "A")).answers) == 1
    files["/etc/coredns/Corefile"] = ". {\n reload 10s\n hosts {\n 192.0.2.1 b.example\n }\n}"
    await trio.sleep(11)
    assert not (await query(lab, "a.example.", "A")).answers
    assert len((await query(lab, "b.example.", "A")).answers) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (". {\n nonsense\n}", ":2 - Error during parsing: Unknown directive 'nonsense'"),
        (". {\n kubernetes {\n pods verified\n }\n}", ":3 - Error during parsing: pods verified is not there"),
        (". {\n forward .\n}", ":2 - Error during parsing: Wrong argument count"),
        (". {\n forward . nowhere\n}", "not an IP address or file: 'nowhere'"),
        (". {\n cache 30\n cache 40\n}", ":3 - Error during parsing: plugin/cache: this plugin can only be used once"),
        (". {\n file /none x.org\n}", "open /none: no such file or directory"),
        (". {\n hosts {\n 1.2.3.4\n }\n}", "unknown property '1.2.3.4'"),
        (". {\n", "Unexpected EOF"),
        ("tls://. {\n}", "the transport tls:// is not there"),
        (".:99999 {\n}", "not a zone and a port"),
        (". {\n}\n. {\n}", "cannot serve dns://.:53 - it is already defined"),
    ],
)
async def test_what_is_wrong_with_a_corefile_is_told(
    lab: Lab, autojump_clock: MockClock, text: str, message: str
) -> None:
    statuses = await lab.start("coredns", "dns", files={"/etc/coredns/Corefile": text})
    assert statuses == [1]
    assert message in lab.logs["dns"][-1]


def test_corefile_forms() -> None:
    text = '(common) {\n errors\n}\nexample.org, dns://b.:1053 { # a comment\n import common\n log "two words"\n}\n'
    blocks = parse_corefile(text)
    assert [(block.zones, block.port) for block in blocks] == [
        (("example.org.", "b."), 53),
        (("example.org.", "b."), 1053),
    ]
    assert [directive.line.words for directive in blocks[0].directives] == [("errors",), ("log", "two words")]
    with pytest.raises(CorefileError, match="File to import not found: nope"):
        parse_corefile(". {\n import nope\n}")


def test_what_may_be_kept() -> None:
    soa = Record("x.", SOA, 5, Soa("a.", "b.", 1, 1, 1, 1, 5))
    query = dns.Message(1)
    assert classify(query.reply(dns.NXDOMAIN)) is Kind.OTHER
    denial = dns.Message(1, authorities=(soa,), is_response=True, rcode=dns.NXDOMAIN)
    assert classify(denial) is Kind.DENIAL
    assert classify(query.reply(dns.SERVFAIL)) is Kind.FAILURE
    assert classify(query.reply(dns.REFUSED)) is Kind.OTHER
