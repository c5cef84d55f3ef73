import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.sctp_chunks import Data, Init, Parameter, Sack, build_parameters, parse_parameters

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
PARAMETERS = st.lists(st.tuples(U16, st.binary(max_size=30)), max_size=5).map(tuple)
INITS = st.builds(Init, U32, U32, U16, U16, U32, PARAMETERS)
DATAS = st.builds(Data, U32, U16, U16, U32, st.binary(max_size=50))
SACKS = st.builds(
    Sack, U32, U32, st.lists(st.tuples(U16, U16), max_size=5).map(tuple), st.lists(U32, max_size=5).map(tuple)
)


@given(INITS)
def test_init_round_trip(init: Init) -> None:
    assert Init.parse(init.build()) == init


@given(DATAS)
def test_data_round_trip(data: Data) -> None:
    assert Data.parse(data.build()) == data


@given(SACKS)
def test_sack_round_trip(sack: Sack) -> None:
    assert Sack.parse(sack.build()) == sack


@given(PARAMETERS)
def test_parameters_are_padded_to_words(parameters: tuple[tuple[int, bytes], ...]) -> None:
    data = build_parameters(parameters)
    assert len(data) % 4 == 0
    assert parse_parameters(data) == parameters


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    for parse in (Init.parse, Data.parse, Sack.parse, parse_parameters):
        try:
            parse(data)
        except WireError:
            continue


def test_the_bytes_of_the_rfc() -> None:
    """RFC 9260 sections 3.3.1, 3.3.2 and 3.3.4."""
    init = Init(0x01020304, 0x10000, 10, 0xFFFF, 7, ((Parameter.STATE_COOKIE, b"abc"),))
    assert init.build() == bytes.fromhex("01020304 00010000 000a ffff 00000007 0007 0007 616263 00")
    assert init.parameter(Parameter.STATE_COOKIE) == b"abc"
    assert Data(1, 2, 3, 4, b"x").build() == bytes.fromhex("00000001 0002 0003 00000004 78")
    assert Sack(9, 100, ((2, 3),), (5,)).build() == bytes.fromhex("00000009 00000064 0001 0001 0002 0003 00000005")


@pytest.mark.parametrize("data", [b"\0\7\0\3", b"\0\7\0\x20abc", b"\0\7\0"])
def test_parameters_that_are_cut_short(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_parameters(data)
