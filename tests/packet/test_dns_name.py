import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.dns_name import ROOT, NameWriter, parse_name, split_name

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=3).map(tuple)


def write(*names: str, compress: bool = True) -> bytes:
    message = bytearray()
    writer = NameWriter(message)
    for name in names:
        writer.write(name, compress=compress)
    return bytes(message)


def wire(labels: tuple[bytes, ...]) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


@given(LABELS)
def test_any_labels_have_one_text_form(labels: tuple[bytes, ...]) -> None:
    name, after = parse_name(b"xx" + wire(labels) + b"yy", 2)
    assert after == 2 + len(wire(labels))
    assert split_name(name) == labels
    assert name.isascii()
    assert name.isprintable()
    assert write(name) == wire(labels)


def test_text_forms() -> None:
    assert split_name("web.default.svc.cluster.local") == split_name("web.default.svc.cluster.local.")
    assert split_name(ROOT) == ()
    assert split_name("a\\..") == (b"a.",)
    assert parse_name(b"\0", 0) == (ROOT, 1)
    assert split_name("a\\.b.\\065\\\\") == (b"a.b", b"A\\")
    assert parse_name(wire((b"a.b\\ \x1b\xff",)), 0)[0] == "a\\.b\\\\\\032\\027\\255."


@pytest.mark.parametrize(
    "name", ["", "a..b", ".a", "..", "x" * 64, ("x" * 63 + ".") * 4, "ü.de", "a\\", "a\\256", "ü\\.x", "\\ü"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(WireError, match="DNS"):
        split_name(name)


def test_the_longest_name_has_255_bytes() -> None:
    longest = ("x" * 63 + ".") * 3 + "x" * 61 + "."
    assert len(write(longest)) == 255
    assert parse_name(write(longest), 0)[0] == longest
    with pytest.raises(WireError, match="longer than 255"):
        split_name(longest.removesuffix(".") + "x.")
    with pytest.raises(WireError, match="longer than 255"):
        parse_name(wire((b"x" * 63, b"x" * 63, b"x" * 63, b"x" * 62)), 0)


def test_compression_points_to_the_longest_known_end() -> None:
    message = write("a.svc.local.", "b.svc.local.", "svc.local.", "a.svc.local.", "A.svc.local.")
    assert message == (wire((b"a", b"svc", b"local")) + b"\x01b\xc0\x02" + b"\xc0\x02" + b"\xc0\x00" + b"\x01A\xc0\x02")
    names, offset = [], 0
    while offset < len(message):
        name, offset = parse_name(message, offset)
        names.append(name)
    assert names == ["a.svc.local.", "b.svc.local.", "svc.local.", "a.svc.local.", "A.svc.local."]
    assert write("a.b.", "a.b.", compress=False) == wire((b"a", b"b")) * 2


@pytest.mark.parametrize(
    "message",
    [
        b"\xc0\x00",
        b"\x01a\xc0\x00",
        b"\xc0\x02\xc0\x00",
        b"\xc0\x05",
        b"\xc0",
        b"\x05abc",
        b"\x01a",
        b"",
        b"\x40a\0",
        b"\x80\0",
    ],
)
def test_loops_and_cut_names_are_refused(message: bytes) -> None:
    with pytest.raises(WireError, match="DNS"):
        parse_name(message, 0)


def test_a_pointer_must_lead_before_the_name_it_is_in() -> None:
    assert parse_name(b"\0\x01a\xc0\x00", 1) == ("a.", 5)
    with pytest.raises(WireError, match="lead back"):
        parse_name(b"\0\x01a\xc0\x01", 1)
    with pytest.raises(WireError, match="lead back"):
        parse_name(b"\x01\0\xc0\x01", 0)  # into its own label, which would end there


def test_a_long_chain_of_pointers_is_refused() -> None:
    chain = b"\0\0" + b"".join((0xC000 | max(at - 2, 0)).to_bytes(2, "big") for at in range(2, 2000, 2))
    assert parse_name(chain, 100) == (ROOT, 102)
    with pytest.raises(WireError, match="lead back"):
        parse_name(chain, 1000)


def test_names_beyond_the_reach_of_pointers_are_written_whole() -> None:
    message = bytearray(0x4000)
    writer = NameWriter(message)
    writer.write("a.b.")
    writer.write("a.b.")
    assert message[0x4000:] == wire((b"a", b"b")) * 2
