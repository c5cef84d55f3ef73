"""The name server over a zone made in Python, and its clients nslookup, dig and getent."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from emulator.apps.dns.server import NameServer
from emulator.apps.dns.zone import ZoneAnswers
from emulator.packet import dns
from emulator.packet.dns_record import OPT, A, Question, Record
from tests.apps.conftest import Lab, Names

WEB = "web.default.svc.cluster.local."


async def answer(data: bytes, *, over_tcp: bool = False) -> bytes | None:
    return await NameServer({".": ZoneAnswers(Names())}).answer(data, over_tcp=over_tcp)


async def ask(name: str, kind: int = A, *, udp_size: int = 0) -> dns.Message:
    options = (Record(".", OPT, 0, b"", udp_size),) if udp_size else ()
    query = dns.Message(7, (Question(name, kind),), recursion_desired=True, additionals=options)
    data = await answer(query.build())
    assert data is not None
    assert len(data) <= max(512, udp_size)
    return dns.Message.parse(data)


async def test_repeats_the_spelling_that_was_asked_for() -> None:
    assert (await ask("WEB.default.svc.Cluster.local.")).answers[0].name == "WEB.default.svc.Cluster.local."


async def test_negative_answers_carry_the_soa() -> None:
    for name, kind, rcode in ((WEB, 28, dns.NOERROR), ("nope.cluster.local.", A, dns.NXDOMAIN)):
        message = await ask(name, kind)
        assert (message.rcode, message.answers, len(message.authorities)) == (rcode, (), 1)
        assert message.authoritative


async def test_other_names() -> None:
    assert (await ask("example.com.")).rcode == dns.REFUSED
    assert (await ask("nope.")).rcode == dns.NXDOMAIN


async def test_long_answers_are_truncated_to_what_the_client_takes() -> None:
    assert (await ask("many.default.svc.cluster.local.")).truncated
    assert (await ask("many.default.svc.cluster.local.", udp_size=1232)).truncated
    assert not (await ask("many.default.svc.cluster.local.", udp_size=4096)).truncated


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_get_an_answer_or_none(data: bytes, over_tcp: bool) -> None:
    message = trio.run(lambda: answer(data, over_tcp=over_tcp))
    if message is not None:
        assert dns.Message.parse(message).is_response


async def test_malformed_queries_are_told_so() -> None:
    data = await answer(b"\x00\x07\x01\x00\x00\x01" + bytes(6) + b"\xff")
    assert data is not None
    assert dns.Message.parse(data).rcode == dns.FORMERR


async def test_dig(lab: Lab, autojump_clock: MockClock) -> None:
    """Its text is compared with the real one's in test_real_tools.py; this runs where there is none."""
    await lab.start("registry.k8s.io/coredns/coredns:v1.11.1", "dns", zone=Names())
    lines = (await lab.run("dig web.default.svc.cluster.local")).out.splitlines()
    assert lines[6].startswith(";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: ")
    assert lines[7] == ";; flags: qr aa rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1"
    assert ";web.default.svc.cluster.local.\tIN\tA" in lines
    assert "web.default.svc.cluster.local. 30 IN\tA\t10.244.1.3" in lines
    assert (await lab.run("dig +short -x 10.244.1.3")).out == f"{WEB}\n"
    assert (await lab.run("dig +short web +search")).out == "10.244.1.3\n"


async def test_what_dig_has_not_is_refused_by_name(lab: Lab, autojump_clock: MockClock) -> None:
    for option in ("+trace", "+yaml", "-f", "+https"):
        result = await lab.run(f"dig {option} x")
        assert (result.status, result.error) == (1, f"dig: {option} is not there; see docs/programs.md\n")


async def test_host(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("coredns", "dns", zone=Names())
    assert (await lab.run("host web")).out == "web.default.svc.cluster.local has address 10.244.1.3\n"
    assert (await lab.run("host 10.244.1.3")).out == f"3.1.244.10.in-addr.arpa domain name pointer {WEB}\n"
    missing = await lab.run("host nope")
    assert (missing.status, missing.out) == (1, "Host nope not found: 3(NXDOMAIN)\n")
    assert (await lab.run("host -C x")).error == "host: -C is not there; see docs/programs.md\n"


async def test_truncated_answers_come_again_over_tcp(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("coredns", "dns", zone=Names())
    assert len((await lab.run("dig +short many.default.svc.cluster.local")).out.splitlines()) == 199


async def test_dig_without_a_server(lab: Lab, autojump_clock: MockClock) -> None:
    result = await lab.run("dig @10.244.1.3 web")
    assert result.status == 9
    assert result.out.startswith(";; communications error to 10.244.1.3#53: connection refused\n")


async def test_nslookup(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("coredns", "dns", zone=Names())
    head = "Server:\t\t10.244.1.4\nAddress:\t10.244.1.4#53\n\n"
    found = await lab.run("nslookup web")
    assert found.out == f"{head}Name:\tweb.default.svc.cluster.local\nAddress: 10.244.1.3\n\n"
    missing = await lab.run("nslookup nope")
    assert (missing.status, missing.out) == (1, f"{head}** server can't find nope: NXDOMAIN\n\n")
    reverse = await lab.run("nslookup 10.244.1.3")
    assert reverse.out == f"3.1.244.10.in-addr.arpa\tname = {WEB}\n\n"


async def test_getent(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("coredns", "dns", zone=Names())
    assert (await lab.run("getent hosts web")).out == "10.244.1.3      web.default.svc.cluster.local\n"
    assert (await lab.run("getent hosts nope")).status == 2
    assert (await lab.run("getent ahosts localhost")).out == (
        "127.0.0.1       STREAM localhost\n127.0.0.1       DGRAM  \n127.0.0.1       RAW    \n"
    )
