import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.options import iterate_options
from emulator.packet.tcp_options import SACK, TcpOptions, format_options

WORDS = st.integers(0, 2**32 - 1)
UNKNOWN = st.tuples(st.sampled_from([6, 19, 28, 30, 254]), st.binary(max_size=2))
OPTIONS = st.builds(
    TcpOptions,
    mss=st.none() | st.integers(0, 0xFFFF),
    window_scale=st.none() | st.integers(0, 255),
    sack_permitted=st.booleans(),
    timestamps=st.none() | st.tuples(WORDS, WORDS),
    sack=st.lists(st.tuples(WORDS, WORDS), max_size=1).map(tuple),
    unknown=st.lists(UNKNOWN, max_size=1).map(tuple),
)


@given(OPTIONS)
def test_round_trip_and_dpkt(options: TcpOptions) -> None:
    built = options.build()
    assert len(built) % 4 == 0
    assert TcpOptions.parse(built) == TcpOptions.parse(built, lenient=True) == options
    ours = [(kind, data) for kind, data in iterate_options(built, "TCP") if kind != 1]
    assert ours == [(kind, data) for kind, data in dpkt.tcp.parse_opts(built) if kind != 1]


def test_a_syn_has_linuxs_order() -> None:
    options = TcpOptions(1460, 7, sack_permitted=True, timestamps=(1, 0))
    assert options.build().hex() == "020405b4" + "0402080a0000000100000000" + "01030307"
    assert TcpOptions(1460, sack_permitted=True).build().hex() == "020405b4" + "01010402"


def test_four_sack_blocks_fit_and_a_fifth_does_not() -> None:
    blocks = tuple((number, number + 1) for number in range(5))
    assert TcpOptions.parse(TcpOptions(sack=blocks[:4]).build()).sack == blocks[:4]
    with pytest.raises(WireError, match="more than 40"):
        TcpOptions(sack=blocks).build()


def test_what_stands_behind_the_end_is_not_read() -> None:
    assert TcpOptions.parse(b"\x00\x02\x04\x05\xb4") == TcpOptions()


@pytest.mark.parametrize(
    "text",
    [
        "02",
        "0200",
        "0201",
        "0204ff",
        "0205aabbcc",
        "030207",
        "0403ff",
        "050a00",
        "0506aabbccdd",
        "0809" + "00" * 7,
        "fe00",
    ],
)
def test_bad_lengths_are_refused(text: str) -> None:
    with pytest.raises(WireError, match="bad length"):
        TcpOptions.parse(b"\x01" + bytes.fromhex(text))


def test_lenient_reading_is_linuxs() -> None:
    assert TcpOptions.parse(bytes.fromhex("020405b4" + "0205aabbcc" + "030307" + "0209"), lenient=True) == TcpOptions(
        mss=1460, window_scale=7
    )


@given(st.binary(max_size=44))
def test_lenient_reading_takes_any_bytes(options: bytes) -> None:
    TcpOptions.parse(options, lenient=True)
    format_options(options)


def test_text() -> None:
    assert format_options(TcpOptions(sack=((1, 2), (5, 9))).build()) == "nop,nop,sack 2 {1:2}{5:9}"
    assert format_options(bytes.fromhex("020405b400000000")) == "mss 1460,eol"
    assert format_options(bytes.fromhex("fe04abcd01")) == "unknown-254 0xabcd,nop"
    assert format_options(bytes.fromhex("0209")) == "[bad opt]"
    assert format_options(bytes([SACK, 4, 1, 1])) == f"[bad opt {SACK}]"
    assert format_options(bytes.fromhex("02040000")) == "mss 0"
