"""A capture file of either format: told by how it begins, and read by `pcap.py` or `pcapng.py`."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.packet.address import Buffer
from emulator.packet.capture import CapturedPacket, CaptureError
from emulator.packet.pcap import MAGICS, read_pcap
from emulator.packet.pcapng import PCAPNG_MAGIC, read_pcapng

LONGEST_MAGIC = 4
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"BZh": "bzip2"}


def is_capture(begin: bytes) -> bool:
    """Whether a file that begins so claims to be a pcap or pcapng file."""
    return begin == PCAPNG_MAGIC or begin in MAGICS


def read_capture(buffer: Buffer) -> Iterator[CapturedPacket]:
    """Yield the packets of a pcap or pcapng file in the file's order. CaptureError at what is neither."""
    magic = bytes(buffer[:LONGEST_MAGIC])
    if magic == PCAPNG_MAGIC:
        return read_pcapng(buffer)
    if magic in MAGICS:
        return read_pcap(buffer)
    if not magic:
        raise CaptureError(0, "the file is empty; give a pcap or pcapng file")
    for begin, name in _COMPRESSED.items():
        if magic.startswith(begin):
            raise CaptureError(0, f"compressed with {name}; unpack it first")
    raise CaptureError(0, f"neither pcap nor pcapng: it begins with {magic.hex(' ')}")
