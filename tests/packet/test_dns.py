import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.dns import Message
from emulator.packet.dns_record import (
    AAAA,
    CNAME,
    NS,
    OPT,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Question,
    Record,
    Soa,
    Srv,
    reverse_name,
    type_name,
)

WORDS = st.integers(0, 0xFFFF)
LONG_WORDS = st.integers(0, 2**32 - 1)
NAMES = st.lists(
    st.sampled_from(["web", "Default", "svc", "cluster", "local", "_http", "x" * 63, "a\\.b"]), max_size=3
).map(lambda labels: ".".join((*labels, "")) if labels else ".")
DATA = st.one_of(
    st.tuples(st.just(A), LONG_WORDS),
    st.tuples(st.just(AAAA), st.integers(0, 2**128 - 1)),
    st.tuples(st.sampled_from([NS, CNAME, PTR]), NAMES),
    st.tuples(st.just(TXT), st.lists(st.binary(max_size=255), max_size=2).map(tuple)),
    st.tuples(st.just(SRV), st.builds(Srv, WORDS, WORDS, WORDS, NAMES)),
    st.tuples(st.just(SOA), st.builds(Soa, NAMES, NAMES, *[LONG_WORDS] * 5)),
    st.tuples(st.sampled_from([OPT, 99, 65000]), st.binary(max_size=20)),
)
RECORDS = st.builds(
    lambda name, ttl, data, rclass: Record(name, data[0], ttl, data[1], rclass), NAMES, LONG_WORDS, DATA, WORDS
)
SECTIONS = st.lists(RECORDS, max_size=3).map(tuple)
MESSAGES = st.builds(
    Message,
    WORDS,
    st.lists(st.builds(Question, NAMES, WORDS, WORDS), max_size=2).map(tuple),
    SECTIONS,
    SECTIONS,
    SECTIONS,
    is_response=st.booleans(),
    opcode=st.integers(0, 15),
    authoritative=st.booleans(),
    truncated=st.booleans(),
    recursion_desired=st.booleans(),
    recursion_available=st.booleans(),
    authentic_data=st.booleans(),
    checking_disabled=st.booleans(),
    rcode=st.integers(0, 15),
)
WEB = "web.default.svc.cluster.local."
QUERY = Message(7, (Question(WEB),), recursion_desired=True)


@given(MESSAGES)
def test_round_trip(message: Message) -> None:
    built = message.build()
    assert Message.parse(built) == Message.parse(bytearray(built)) == message
    assert str(message).isprintable()


def test_dpkt_reads_what_is_built() -> None:
    answers = (
        Record(WEB, CNAME, 30, "a.b."),
        Record("a.b.", A, 5, 0x0A000001),
        Record("_http._tcp.a.b.", SRV, 5, Srv(1, 2, 80, WEB)),
        Record("1.0.0.10.in-addr.arpa.", PTR, 5, WEB),
    )
    library = dpkt.dns.DNS(QUERY.reply(answers=answers).build())
    assert (library.id, library.qr, library.aa, library.rd, library.ra) == (7, 1, 1, 1, 1)
    assert library.qd[0].name == WEB.removesuffix(".")
    assert library.an[0].cname == "a.b"
    assert library.an[1].ip == b"\x0a\0\0\x01"
    assert (library.an[2].srvname, library.an[2].port, library.an[2].weight) == (WEB.removesuffix("."), 80, 2)
    assert library.an[3].ptrname == WEB.removesuffix(".")


def test_what_dpkt_builds_is_read() -> None:
    question = dpkt.dns.DNS.Q(name="web.default", type=A, cls=1)
    library = dpkt.dns.DNS(id=9, qr=0, opcode=0, rcode=0, rd=1, qd=[question])
    assert Message.parse(bytes(library)) == Message(9, (Question("web.default."),), recursion_desired=True)


def test_the_target_of_srv_is_not_compressed_but_of_cname_is() -> None:
    query = QUERY.build()
    srv = QUERY.reply(answers=(Record(WEB, SRV, 5, Srv(1, 2, 80, WEB)),)).build()
    assert len(srv) == len(query) + 2 + 10 + 6 + len(WEB) + 1
    cname = QUERY.reply(answers=(Record(WEB, CNAME, 5, WEB),)).build()
    assert len(cname) == len(query) + 2 + 10 + 2


def test_a_reply_keeps_what_was_asked() -> None:
    reply = QUERY.reply(dns.NXDOMAIN)
    assert (reply.identifier, reply.questions, reply.rcode) == (7, QUERY.questions, dns.NXDOMAIN)
    assert reply.is_response
    assert reply.recursion_desired
    assert reply.authoritative
    assert not QUERY.reply(authoritative=False).authoritative


def test_a_long_message_is_cut_at_a_record_and_marked() -> None:
    option = Record(".", OPT, 0, b"", 1232)
    answers = tuple(Record(WEB, A, 5, number) for number in range(100))
    whole = replace(QUERY.reply(answers=answers), authorities=answers[:1], additionals=(answers[0], option))
    for limit in (dns.UDP_LIMIT, 1232):
        cut = whole.build(limit)
        message = Message.parse(cut)
        assert limit - 16 < len(cut) <= limit
        assert message.truncated
        assert message.answers == answers[: len(message.answers)]
        assert (message.authorities, message.additionals) == ((), (option,))
    assert Message.parse(whole.build()) == whole
    assert Message.parse(whole.build(40)).answers == ()


def test_the_size_that_a_sender_takes() -> None:
    assert QUERY.udp_size == 512
    assert replace(QUERY, additionals=(Record(".", OPT, 0, b"", 1232),)).udp_size == 1232
    assert replace(QUERY, additionals=(Record(".", OPT, 0, b"", 100),)).udp_size == 512


def test_every_cut_message_is_refused() -> None:
    answers = (
        Record(WEB, SRV, 5, Srv(1, 2, 80, WEB)),
        Record(WEB, TXT, 5, (b"text",)),
        Record(WEB, SOA, 5, Soa("a.", "b.", 1, 2, 3, 4, 5)),
    )
    built = QUERY.reply(answers=answers).build()
    for length in range(len(built)):
        with pytest.raises(WireError, match="DNS"):
            Message.parse(built[:length])
    with pytest.raises(WireError, match="1 bytes behind"):
        Message.parse(built + b"\0")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (A, "0a0000"),
        (A, "0a00000001"),
        (AAAA, "0a000001"),
        (CNAME, "0161"),
        (CNAME, "016100ff"),
        (SRV, "000100020050"),
        (SRV, "00010002"),
        (TXT, "056162"),
        (SOA, "0000" + "00" * 19),
        (SOA, "0000" + "00" * 21),
    ],
)
def test_malformed_data_is_refused(kind: int, data: str) -> None:
    raw = bytes.fromhex(data)
    record = b"\0" + kind.to_bytes(2, "big") + b"\0\x01" + bytes(4) + len(raw).to_bytes(2, "big") + raw
    header = Message(1).build()[:6] + b"\0\x01" + bytes(4)
    with pytest.raises(WireError, match="DNS"):
        Message.parse(header + record)


@pytest.mark.parametrize(
    "record",
    [
        Record(WEB, A, 5, b"\x0a\0\0\x01"),
        Record(WEB, A, 5, 2**32),
        Record(WEB, A, -1, 1),
        Record(WEB, A, 2**32, 1),
        Record(WEB, CNAME, 5, 7),
        Record(WEB, TXT, 5, (b"x" * 256,)),
        Record(WEB, SRV, 5, Srv(1, 2, 65536, WEB)),
        Record(WEB, 99, 5, b"x" * 65536),
        Record("a..b", A, 5, 1),
    ],
)
def test_values_that_do_not_fit_are_refused(record: Record) -> None:
    with pytest.raises(WireError, match="DNS"):
        QUERY.reply(answers=(record,)).build()


def test_names_of_things() -> None:
    assert reverse_name(0x0A000001) == "1.0.0.10.in-addr.arpa."
    assert (type_name(SRV), type_name(99)) == ("SRV", "TYPE99")
    assert (dns.rcode_name(3), dns.rcode_name(11)) == ("NXDOMAIN", "RCODE11")
