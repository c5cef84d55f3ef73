"""Capture files: what is written is read again, by us, dpkt and tcpdump; what is damaged is named with its place."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.packet.capture import CapturedPacket, CaptureError, Direction, format_time
from emulator.packet.capture_file import read_capture
from emulator.packet.pcap import pcap_header, pcap_record
from emulator.packet.pcapng import enhanced_packet, interface_description, section_header

TIMES = st.integers(0, 2**32 * 10**9 - 1)
PACKETS = st.lists(st.tuples(TIMES, st.binary(max_size=80), st.integers(0, 2000)), max_size=6)
ORDERS = st.sampled_from("<>")
FRAME = bytes.fromhex("0200000000020200000000010800") + b"payload"


def read(data: bytes) -> list[CapturedPacket]:
    return list(read_capture(data))


def contents(data: bytes) -> list[tuple[int, bytes, int]]:
    return [(packet.time, bytes(packet.data), packet.length) for packet in read_capture(data)]


def pcap(order: str, magic: int, packets: list[tuple[int, int, bytes, int]], linktype: int = 1) -> bytes:
    """Build a file with the standard library alone: (seconds, fraction, data, length) a packet."""
    text = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, linktype)
    for seconds, fraction, data, length in packets:
        text += struct.pack(f"{order}IIII", seconds, fraction, len(data), length) + data
    return text


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str, version: int = 1) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, version, 0, -1))


def description(order: str, linktype: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", linktype, 0, snaplen) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(order: str, interface: int, units: int, data: bytes, length: int | None = None) -> bytes:
    head = struct.pack(
        f"{order}IIIII", interface, units >> 32, units & 0xFFFFFFFF, len(data), len(data) if length is None else length
    )
    return block(order, 6, head + data)


def damage(data: bytes) -> CaptureError | None:
    """Read a file; return what is wrong with it, if anything is."""
    try:
        for packet in read_capture(data):
            assert packet.length >= len(packet.data)
    except CaptureError as error:
        return error
    return None


# pcap


@given(PACKETS, ORDERS)
def test_pcap_in_each_byte_order_and_unit(packets: list[tuple[int, bytes, int]], order: str) -> None:
    for magic, unit in ((0xA1B2C3D4, 1000), (0xA1B23C4D, 1)):
        rows = [(time // 10**9, time % 10**9 // unit, data, len(data) + more) for time, data, more in packets]
        expected = [(time // unit * unit, data, len(data) + more) for time, data, more in packets]
        assert contents(pcap(order, magic, rows)) == expected


@given(PACKETS, st.booleans())
def test_pcap_written_is_read_by_us_and_by_dpkt(packets: list[tuple[int, bytes, int]], nanoseconds: bool) -> None:
    text = pcap_header(1, nanoseconds=nanoseconds)
    for time, data, more in packets:
        text += pcap_record(time, data, len(data) + more, nanoseconds=nanoseconds)
    unit = 1 if nanoseconds else 1000
    assert contents(text) == [(time // unit * unit, data, len(data) + more) for time, data, more in packets]
    library = list(dpkt.pcap.Reader(io.BytesIO(text)))
    assert [data for _, data in library] == [data for _, data, _ in packets]
    for (time, _), (expected, _, _) in zip(library, packets, strict=True):
        assert abs(float(time) - expected / 1e9) < 2e-6


def test_pcap_of_dpkt() -> None:
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, nano=True)
    writer.writepkt(FRAME, ts=1_700_000_000.5)
    writer.writepkt(FRAME[:20], ts=1_700_000_001.25)
    assert contents(file.getvalue()) == [
        (1_700_000_000_500_000_000, FRAME, len(FRAME)),
        (1_700_000_001_250_000_000, FRAME[:20], 20),
    ]


def test_frame_check_sequences_are_cut_off() -> None:
    """The link type's field says that each frame has one, of two 16-bit words."""
    whole = pcap(">", 0xA1B2C3D4, [(1, 2, FRAME + b"fcs!", len(FRAME) + 4)], 1 | 1 << 26 | 2 << 28)
    assert contents(whole) == [(1_000_002_000, FRAME, len(FRAME))]
    cut = pcap(">", 0xA1B2C3D4, [(1, 2, FRAME[:10], len(FRAME) + 4)], 1 | 1 << 26 | 2 << 28)
    assert contents(cut) == [(1_000_002_000, FRAME[:10], len(FRAME))]
    assert read(whole)[0].linktype == 1


# pcapng


@given(PACKETS, ORDERS, st.integers(0, 127), st.booleans(), st.integers(-5, 5))
def test_pcapng_resolutions_and_offsets(
    packets: list[tuple[int, bytes, int]], order: str, exponent: int, binary: bool, offset: int
) -> None:
    exponent = min(exponent, 40) if binary else min(exponent, 15)
    units = 2**exponent if binary else 10**exponent
    options = option(order, 9, bytes([exponent | (0x80 if binary else 0)]))
    options += option(order, 14, struct.pack(f"{order}q", offset)) + option(order, 0, b"")
    text = section(order) + description(order, options=options)
    expected = []
    for time, data, more in packets:
        count = time * units // 10**9 & 2**64 - 1
        text += enhanced(order, 0, count, data, len(data) + more)
        expected.append((count * 10**9 // units + offset * 10**9, data, len(data) + more))
    assert contents(text) == expected


@given(PACKETS)
def test_pcapng_written_is_read_by_us_and_by_dpkt(packets: list[tuple[int, bytes, int]]) -> None:
    text = section_header() + interface_description(1, "eth0")
    for time, data, more in packets:
        text += enhanced_packet(time, data, length=len(data) + more, direction=Direction.OUTBOUND)
    assert contents(text) == [(time, data, len(data) + more) for time, data, more in packets]
    assert {(packet.interface, packet.direction) for packet in read_capture(text)} <= {("eth0", Direction.OUTBOUND)}
    assert [data for _, data in dpkt.pcapng.Reader(io.BytesIO(text))] == [data for _, data, _ in packets]


def test_several_interfaces_and_sections() -> None:
    """Each packet has the link type, name and clock of its interface; a new section begins anew, in its own order."""
    text = section("<")
    text += description("<", 1, options=option("<", 2, b"eth0"))
    text += description("<", 101, options=option("<", 2, b"tun0\0") + option("<", 9, b"\x09"))
    text += enhanced("<", 1, 5, b"raw") + enhanced("<", 0, 5, b"frame")
    text += section(">") + description(">", 276) + enhanced(">", 0, 7_000_000, b"cooked")
    found = [(p.time, p.linktype, p.interface, bytes(p.data)) for p in read_capture(text)]
    assert found == [(5, 101, "tun0", b"raw"), (5000, 1, "eth0", b"frame"), (7 * 10**9, 276, "", b"cooked")]


def test_simple_obsolete_and_unknown_blocks() -> None:
    for order in "<>":
        text = section(order) + description(order, snaplen=4)
        text += block(order, 2, struct.pack(f"{order}HHIIII", 0, 9, 0, 3_000_000, 5, 9) + b"12345")
        text += block(order, 5, bytes(12)) + block(order, 0x0BAD, b"\0\0\0\1whatever")
        text += block(order, 3, struct.pack(f"{order}I", 6) + b"abcd")
        assert contents(text) == [(3 * 10**9, b"12345", 9), (3 * 10**9, b"abcd", 6)]


def test_directions() -> None:
    text = section_header() + interface_description(1, "x")
    for direction in Direction:
        text += enhanced_packet(1, b"abc", direction=direction)
    assert [packet.direction for packet in read_capture(text)] == list(Direction)


# Damage


def files() -> dict[str, bytes]:
    ng = section_header() + interface_description(1, "eth0") + enhanced_packet(1, FRAME) + enhanced_packet(2, FRAME)
    return {
        "pcap": pcap("<", 0xA1B2C3D4, [(1, 2, FRAME, len(FRAME)), (3, 4, FRAME, len(FRAME))]),
        "pcapng": ng,
    }


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_a_file_that_ends_early_is_named_with_the_place(kind: str) -> None:
    whole = files()[kind]
    complete = {len(whole)}
    for length in range(4, len(whole)):
        error = damage(whole[:length])
        if error is None:
            complete.add(length)  # it ends between two packets
        else:
            assert error.offset <= length
            assert str(error).startswith(f"byte {error.offset}: ")
    assert len(complete) == (3 if kind == "pcap" else 4)


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
@given(data=st.data())
def test_damaged_files_raise_nothing_else(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(files()[kind])
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=6)
    ):
        damaged[position] = value
    assert "\n" not in str(damage(bytes(damaged)))


@given(st.binary(max_size=200))
def test_garbage_behind_a_magic(garbage: bytes) -> None:
    for magic in (b"", b"\x0a\x0d\x0d\x0a", b"\xd4\xc3\xb2\xa1", section_header()):
        assert "\n" not in str(damage(magic + garbage))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "byte 0: the file is empty; give a pcap or pcapng file"),
        (b"GIF89a", "byte 0: neither pcap nor pcapng: it begins with 47 49 46 38"),
        (b"\x1f\x8b\x08\x00", "byte 0: compressed with gzip; unpack it first"),
        (
            b"\xa1\xb2\xc3\xd4\0\x09\0\x01" + bytes(16),
            "byte 4: pcap version 9.1 is not known; convert it with `editcap`",
        ),
        (
            pcap("<", 0xA1B2C3D4, []) + struct.pack("<IIII", 1, 1, 2**32 - 1, 5),
            "byte 24: packet 1 claims 4294967295 captured bytes; the file is damaged here",
        ),
        (section("<", version=2), "byte 12: pcapng version 2.0 is not known"),
        (section("<") + enhanced("<", 0, 1, b"x"), "byte 36: a packet of interface 0, but 0 are described before it"),
        (section("<") + block("<", 77, b"")[:-4] + b"\1\0\0\0", "byte 36: a block of 12 bytes ends with the length 1"),
        (section("<") + struct.pack("<III", 1, 10, 10), "byte 32: a block of type 0x1 cannot be 10 bytes long"),
        (
            section("<") + description("<", options=struct.pack("<HH", 2, 50)),
            "byte 44: option 2 of 50 bytes does not fit into its block",
        ),
    ],
)
def test_messages(text: bytes, message: str) -> None:
    with pytest.raises(CaptureError) as caught:
        list(read_capture(text))
    assert str(caught.value) == message


# Another reader


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("kind", ["pcap", "pcap-us", "pcapng"])
def test_tcpdump_reads_what_we_write(kind: str, tmp_path: Path) -> None:
    times = [1_700_000_000_123_456_789, 1_700_000_001_000_000_000]
    nanoseconds = kind != "pcap-us"
    if kind == "pcapng":
        text = section_header() + interface_description(1, "eth0")
        text += b"".join(enhanced_packet(time, FRAME, length=90) for time in times)
    else:
        text = pcap_header(1, nanoseconds=nanoseconds)
        text += b"".join(pcap_record(time, FRAME, 90, nanoseconds=nanoseconds) for time in times)
    path = tmp_path / "capture"
    path.write_bytes(text)
    command = ["tcpdump", "--nano", "-tt", "-nn", "-e", "-r", str(path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    expected = ["1700000000.123456789", "1700000001.000000000"]
    if not nanoseconds:
        expected[0] = "1700000000.123456000"
    assert [line.split()[0] for line in lines] == expected
    assert all("length 90:" in line for line in lines)


def test_times_as_text() -> None:
    assert format_time(1_700_000_000_123_456_000) == "1700000000.123456"
    assert format_time(1_700_000_000_123_456_789) == "1700000000.123456789"
    assert format_time(5_000_000_000) == "5.000000"
