"""Each record type of a cluster, as the specification's examples and CoreDNS's own tests have them."""

from __future__ import annotations

from msgspec.structs import replace
from trio.testing import MockClock

from emulator.apps.dns.client import exchange
from emulator.packet import dns
from emulator.packet.dns_edns import COOKIE, Edns
from emulator.packet.dns_record import OPT, A, Question
from tests.apps.conftest import ADDRESSES, WALL, Lab

from .world import additionals, answers, endpoint, endpoints, query, service, start, written

ZONE = "svc.cluster.local."
SERIAL = int(WALL)
SOA = f"cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. {SERIAL} 7200 1800 86400 30"
SRV_HEADLESS = [
    f"_http._tcp.hdls1.testns.{ZONE} 30 SRV 0 16 80 {host}.hdls1.testns.{ZONE}"
    for host in ("172-0-0-2", "172-0-0-3", "5678-abcd--1", "5678-abcd--2", "dup-name")
]
# name, type: the answers, or the code of a negative one, which carries the SOA
TABLE: list[tuple[str, str, list[str] | int]] = [
    (f"svc1.testns.{ZONE}", "A", [f"svc1.testns.{ZONE} 30 A 10.0.0.1"]),
    (f"svc1.testns.{ZONE}", "AAAA", dns.NOERROR),
    (f"svc6.testns.{ZONE}", "AAAA", [f"svc6.testns.{ZONE} 30 AAAA 1234:abcd::1"]),
    (f"dual.testns.{ZONE}", "A", [f"dual.testns.{ZONE} 30 A 10.0.0.3"]),
    (f"dual.testns.{ZONE}", "AAAA", [f"dual.testns.{ZONE} 30 AAAA 10::3"]),
    (f"hdls1.testns.{ZONE}", "A", [f"hdls1.testns.{ZONE} 30 A 172.0.0.{last}" for last in (2, 3, 4, 5)]),
    (f"hdls1.testns.{ZONE}", "AAAA", [f"hdls1.testns.{ZONE} 30 AAAA 5678:abcd::{last}" for last in (1, 2)]),
    (f"portless.testns.{ZONE}", "A", [f"portless.testns.{ZONE} 30 A 172.0.0.20"]),
    (f"portless.testns.{ZONE}", "SRV", dns.NOERROR),
    (f"empty.testns.{ZONE}", "A", dns.NXDOMAIN),  # no endpoint is ready
    (f"172-0-0-2.hdls1.testns.{ZONE}", "A", [f"172-0-0-2.hdls1.testns.{ZONE} 30 A 172.0.0.2"]),
    (f"172-0-0-6.hdls1.testns.{ZONE}", "A", dns.NXDOMAIN),
    (f"dup-name.hdls1.testns.{ZONE}", "A", [f"dup-name.hdls1.testns.{ZONE} 30 A 172.0.0.{last}" for last in (4, 5)]),
    (f"5678-abcd--2.hdls1.testns.{ZONE}", "AAAA", [f"5678-abcd--2.hdls1.testns.{ZONE} 30 AAAA 5678:abcd::2"]),
    (f"one.svc1.testns.{ZONE}", "A", [f"one.svc1.testns.{ZONE} 30 A 172.0.1.1"]),
    (f"_http._tcp.svc1.testns.{ZONE}", "SRV", [f"_http._tcp.svc1.testns.{ZONE} 30 SRV 0 100 80 svc1.testns.{ZONE}"]),
    (f"_http._udp.svc1.testns.{ZONE}", "SRV", dns.NXDOMAIN),
    (f"_nope._tcp.svc1.testns.{ZONE}", "SRV", dns.NXDOMAIN),
    (
        f"two.testns.{ZONE}",
        "SRV",
        [f"two.testns.{ZONE} 30 SRV 0 50 {port} two.testns.{ZONE}" for port in (53, 80)],
    ),
    (f"_http._tcp.hdls1.testns.{ZONE}", "SRV", SRV_HEADLESS),
    ("1.0.0.10.in-addr.arpa.", "PTR", [f"1.0.0.10.in-addr.arpa. 30 PTR svc1.testns.{ZONE}"]),
    ("4.0.0.172.in-addr.arpa.", "PTR", [f"4.0.0.172.in-addr.arpa. 30 PTR dup-name.hdls1.testns.{ZONE}"]),
    ("2.0.0.172.in-addr.arpa.", "PTR", [f"2.0.0.172.in-addr.arpa. 30 PTR 172-0-0-2.hdls1.testns.{ZONE}"]),
    (f"external.testns.{ZONE}", "CNAME", [f"external.testns.{ZONE} 30 CNAME ext.interwebs.test."]),
    (f"x.external.testns.{ZONE}", "CNAME", dns.NXDOMAIN),
    (
        f"to-service.testns.{ZONE}",
        "A",
        [f"svc1.testns.{ZONE} 30 A 10.0.0.1", f"to-service.testns.{ZONE} 30 CNAME svc1.testns.{ZONE}"],
    ),
    (f"to-service.testns.{ZONE}", "AAAA", dns.NOERROR),
    (f"to-nothing.testns.{ZONE}", "A", dns.NOERROR),
    (f"to-self.testns.{ZONE}", "A", dns.NOERROR),
    (f"to-address.testns.{ZONE}", "A", dns.NXDOMAIN),
    (f"ring-a.testns.{ZONE}", "A", dns.NOERROR),
    (f"external.testns.{ZONE}", "SRV", dns.NOERROR),
    ("dns-version.cluster.local.", "TXT", ['dns-version.cluster.local. 30 TXT "1.1.0"']),  # 28800, but for the cache
    ("cluster.local.", "SOA", [SOA]),
    ("cluster.local.", "NS", [f"cluster.local. 30 NS kube-dns.kube-system.{ZONE}"]),
    ("ns.dns.cluster.local.", "A", ["ns.dns.cluster.local. 30 A 10.96.0.10"]),
    ("cluster.local.", "A", dns.NOERROR),
    (ZONE, "A", dns.NOERROR),
    ("pod.cluster.local.", "A", dns.NOERROR),
    (f"testns.{ZONE}", "A", dns.NOERROR),
    (f"testns.{ZONE}", "NS", dns.NOERROR),
    (f"svc1.testns.{ZONE}", "SOA", dns.NOERROR),
    (f"svc1.testns.{ZONE}", "MX", dns.NOERROR),
    (f"svc1.testns.{ZONE}", "ANY", dns.NOERROR),
    (f"nope.{ZONE}", "A", dns.NXDOMAIN),
    ("foo.cluster.local.", "NS", dns.NXDOMAIN),
    (f"svc0.testns.{ZONE}", "AAAA", dns.NXDOMAIN),
    (f"svc1.nope.{ZONE}", "A", dns.NXDOMAIN),
    (f"a.b.c.svc1.testns.{ZONE}", "A", dns.NXDOMAIN),
    ("10-244-1-5.testns.pod.cluster.local.", "A", ["10-244-1-5.testns.pod.cluster.local. 30 A 10.244.1.5"]),
    ("10--1.testns.pod.cluster.local.", "AAAA", ["10--1.testns.pod.cluster.local. 30 AAAA 10::1"]),
    ("10-244-1-5.nope.pod.cluster.local.", "A", dns.NXDOMAIN),
    ("10-244-1-500.testns.pod.cluster.local.", "A", dns.NXDOMAIN),
    ("nonsense.testns.pod.cluster.local.", "A", dns.NXDOMAIN),
]


async def test_every_record_type(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    for name, kind, expected in TABLE:
        message = await query(lab, name, kind)
        told = (name, kind, message)
        assert message.authoritative, told
        assert not message.recursion_available, told
        if isinstance(expected, int):
            assert (message.rcode, answers(message)) == (expected, []), told
            assert [written(record) for record in message.authorities] == [SOA], told
        else:
            assert (message.rcode, answers(message)) == (dns.NOERROR, expected), told
            assert not message.authorities, told


async def test_srv_and_ns_come_with_addresses(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    message = await query(lab, f"_http._tcp.svc1.testns.{ZONE}", "SRV")
    assert additionals(message) == [f"svc1.testns.{ZONE} 30 A 10.0.0.1"]
    message = await query(lab, f"_http._tcp.hdls1.testns.{ZONE}", "SRV")
    assert [line.split()[0].split(".")[0] for line in additionals(message)] == [
        *("172-0-0-2", "172-0-0-3", "5678-abcd--1", "5678-abcd--2", "dup-name", "dup-name"),
    ]
    message = await query(lab, "cluster.local.", "NS")
    assert additionals(message) == [f"kube-dns.kube-system.{ZONE} 30 A 10.96.0.10"]


async def test_letters_keep_their_case_and_do_not_count(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    message = await query(lab, "SvC1.TestNS.svc.CLUSTER.local.", "A")
    assert message.questions == (Question("SvC1.TestNS.svc.CLUSTER.local.", A),)
    assert answers(message) == ["SvC1.TestNS.svc.CLUSTER.local. 30 A 10.0.0.1"]
    message = await query(lab, "Nope.testns.svc.Cluster.Local.", "A")
    assert message.authorities[0].name == "Cluster.Local."
    message = await query(lab, "_HTTP._tcp.svc1.testns.svc.Cluster.local.", "SRV")
    assert additionals(message) == ["svc1.testns.svc.Cluster.local. 30 A 10.0.0.1"]


async def test_changes_are_seen_at_once(lab: Lab, autojump_clock: MockClock) -> None:
    directory = await start(lab)
    name = f"new.testns.{ZONE}"
    assert (await query(lab, name, "A")).rcode == dns.NXDOMAIN
    directory.put("Service", service("new", clusterIP="None", ports=[]))
    directory.put(
        "EndpointSlice", endpoints("new", endpoint("172.0.9.1"), endpoint("172.0.9.2", conditions={"ready": False}))
    )
    assert answers(await query(lab, name, "A")) == [f"{name} 30 A 172.0.9.1"]
    directory.put("EndpointSlice", endpoints("new", endpoint("172.0.9.2")))
    assert answers(await query(lab, name, "A")) == [f"{name} 30 A 172.0.9.2"]
    assert (await query(lab, "1.9.0.172.in-addr.arpa.", "PTR")).rcode == dns.SERVFAIL  # and the forwarder has nobody
    directory.remove("Service", "testns", "new")
    assert (await query(lab, name, "A")).rcode == dns.NXDOMAIN


async def test_sixty_endpoints_need_tcp(lab: Lab, autojump_clock: MockClock) -> None:
    directory = await start(lab)
    addresses = [f"172.1.0.{last}" for last in range(1, 61)]
    directory.put("Service", service("many", clusterIP="None"))
    directory.put("EndpointSlice", endpoints("many", *map(endpoint, addresses)))
    for udp_size, fits in ((0, False), (512, False), (1232, True), (4096, True)):
        message = await query(lab, f"many.testns.{ZONE}", "A", udp_size=udp_size)
        assert message.truncated is not fits, udp_size
        assert 1 < len(message.answers) <= 60
        assert len(message.build()) <= max(512, udp_size)
    message = await query(lab, f"many.testns.{ZONE}", "A", udp_size=0, tcp=True)
    assert not message.truncated
    assert sorted(line.split()[-1] for line in answers(message)) == sorted(addresses)


async def test_the_order_of_addresses_is_drawn(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    firsts = set()
    for _ in range(40):
        message = await query(lab, f"hdls1.testns.{ZONE}", "A")
        firsts.add(message.answers[0].data)
    assert len(firsts) == 4
    for _ in range(10):
        message = await query(lab, f"to-service.testns.{ZONE}", "A")
        assert [record.type for record in message.answers] == [5, 1]


async def test_odd_messages_are_answered_as_coredns_does(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    question = Question(f"svc1.testns.{ZONE}", A)

    async def ask(message: dns.Message) -> dns.Message:
        return await exchange(lab.networks["client"], (ADDRESSES["dns"], 53), message, tcp=True)

    plain = dns.Message(7, (question,))
    two = await ask(replace(plain, questions=(question, question)))
    assert (two.rcode, two.questions) == (dns.FORMERR, ())
    assert (await ask(replace(plain, questions=()))).rcode == dns.FORMERR
    update = await ask(replace(plain, opcode=5))
    assert (update.rcode, update.opcode) == (dns.NOTIMP, 5)
    assert (await ask(replace(plain, questions=(Question(question.name, A, 3),)))).rcode == dns.REFUSED
    assert (await ask(replace(plain, questions=(Question(question.name, 252),)))).rcode == dns.REFUSED
    option = Edns(1232, options=((COOKIE, b"12345678"), (8, b"\0\1\0\0"))).record()
    known = await ask(replace(plain, additionals=(option,)))
    assert Edns.of(known) == Edns(1232, options=((COOKIE, b"12345678"),))
    newer = await ask(replace(plain, additionals=(Edns(1232, version=1).record(),)))
    assert (newer.rcode, Edns.of(newer)) == (0, Edns(1232, extended_rcode=1))
    secure = await ask(replace(plain, additionals=(Edns(1400, dnssec_ok=True).record(),)))
    assert Edns.of(secure) == Edns(1400, dnssec_ok=True)
    twice = await ask(replace(plain, additionals=(option, option)))
    assert twice.rcode == dns.FORMERR
    assert not any(record.type == OPT for record in (await ask(plain)).additionals)


async def test_namespaces_and_disabled_pods(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab, "cluster.local in-addr.arpa {\n kubernetes {\n namespaces kube-system\n }\n}\n")
    assert (await query(lab, f"svc1.testns.{ZONE}", "A")).rcode == dns.NXDOMAIN
    assert answers(await query(lab, f"kube-dns.kube-system.{ZONE}", "A")) == [
        f"kube-dns.kube-system.{ZONE} 5 A 10.96.0.10"
    ]
    assert (await query(lab, "10-0-0-1.kube-system.pod.cluster.local.", "A")).rcode == dns.NXDOMAIN
    assert (await query(lab, "1.0.0.10.in-addr.arpa.", "PTR")).rcode == dns.NXDOMAIN
    assert (await query(lab, "example.org.", "A")).rcode == dns.REFUSED
