"""The capture files that are put in: each packet with the link where it comes in, over all files in time order."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from emulator.bundle.problem import Problems
from emulator.errors import WireError
from emulator.packet.address import Buffer
from emulator.packet.capture import CapturedPacket, CaptureError, CutError, Direction, format_time
from emulator.packet.capture_file import LONGEST_MAGIC, is_capture, read_capture
from emulator.packet.ethernet import SOURCE
from emulator.packet.linktype import ETHERNET, OUTGOING, is_known, read_link_layer

LOCAL = "local"
"""In place of a link: packets that the node itself makes."""

STANDARD_INPUT = "-"
_LATEST = 1 << 63
"""Nanoseconds, in the year 2262: a time beyond it is a damaged one, and no clock of 64 bits tells it."""


class Source(NamedTuple):
    """One `--in LINK=FILE`."""

    link: str
    path: str


class Arrival(NamedTuple):
    """One packet and where it comes in."""

    link: str
    packet: CapturedPacket


def read_inputs(sources: Sequence[Source], problems: Problems) -> list[Arrival]:
    """Return the packets of all files by time; those of one time in the order of the sources and of each file.

    Of a file that ends too early the whole packets are among them, and `problems.cut` tells of it.
    """
    found: list[Arrival] = []
    for source in sources:
        arrivals: list[Arrival] = []
        try:
            _read(source, arrivals)
        except CutError as error:
            if arrivals:
                problems.cut.append(f"{source.path}: {error}; {_before(len(arrivals))}")
            else:
                problems.add(source.path, str(error))
        except (CaptureError, _UnusableError) as error:
            problems.add(source.path, str(error))
        except OSError as error:
            problems.add(source.path, error.strerror or str(error))
        found += arrivals
    found.sort(key=lambda arrival: arrival.packet.time)
    return found


class _UnusableError(Exception):
    """A file that is no capture of ours; the text is for the user."""


def _before(count: int) -> str:
    return "the packet before it was put in" if count == 1 else f"the {count} packets before it were put in"


def _read(source: Source, arrivals: list[Arrival]) -> None:
    for number, packet in enumerate(read_capture(_contents(source.path)), 1):
        if not is_known(packet.linktype):
            raise _UnusableError(
                f"packet {number} has link type {packet.linktype}; known are Ethernet, raw IP and Linux cooked captures"
            )
        if not 0 <= packet.time < _LATEST:
            time = format_time(packet.time)
            raise _UnusableError(f"packet {number} has the time {time}, as no clock has; `editcap -t` shifts times")
        arrivals.append(Arrival(source.link, packet))


def _contents(path: str) -> Buffer:
    """Return a file's bytes; a regular one is mapped, so that packets are not in memory twice."""
    if path == STANDARD_INPUT:
        return _stream(sys.stdin.buffer)
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return _stream(file)
        if status.st_size == 0:
            return b""
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _stream(file: BinaryIO) -> bytes:
    """Read a pipe or device to its end, which it may not have: only if it begins as a capture does."""
    begin = file.read(LONGEST_MAGIC)
    return begin + file.read() if is_capture(begin) else begin


def was_sent(packet: CapturedPacket, mac: bytes | None) -> bool:
    """Whether a packet was captured on its way out of a link with this MAC, so that it cannot have come in there."""
    if packet.direction is not Direction.UNKNOWN:
        return packet.direction is Direction.OUTBOUND
    if packet.linktype == ETHERNET:
        return mac is not None and bytes(packet.data[SOURCE : SOURCE + 6]) == mac
    try:
        return read_link_layer(packet.linktype, packet.data).packet_type == OUTGOING
    except WireError:
        return False
