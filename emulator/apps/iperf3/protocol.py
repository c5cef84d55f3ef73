"""iperf3's control connection: a cookie, one byte a state, and JSON with its length in front.

Source: esnet/iperf, src/iperf_api.h (states) and the bytes of iperf 3.12 itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from msgspec import Struct

from emulator.apps.environment import TcpStream

VERSION = "3.12"
PORT = 5201
COOKIE_LENGTH = 37  # bytes, the last of them 0
TCP_BLOCK = 131_072  # bytes
UDP_RATE = 1 << 20  # bits a second where none is asked for
CONNECT, CONNECTED = b"9876", b"6789"  # a UDP stream's first datagram, and the server's answer to it
LONGEST_JSON = 1 << 20  # bytes
MAXIMUM_STREAMS = 128
MAXIMUM_TIME = 86_400  # seconds
MAXIMUM_BLOCK = 1 << 20  # bytes
MAXIMUM_UDP_BLOCK = 65_507
MINIMUM_UDP_BLOCK = 16

_COOKIE_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567"


class State(IntEnum):
    """What either side tells the other by one byte."""

    TEST_START = 1
    TEST_RUNNING = 2
    TEST_END = 4
    PARAM_EXCHANGE = 9
    CREATE_STREAMS = 10
    SERVER_TERMINATE = 11
    CLIENT_TERMINATE = 12
    EXCHANGE_RESULTS = 13
    DISPLAY_RESULTS = 14
    IPERF_DONE = 16
    SERVER_ERROR = 254
    ACCESS_DENIED = 255


class Iperf3Error(Exception):
    """A test that came to nothing, in iperf3's words."""


class ClosedError(Iperf3Error):
    """The control connection ended."""

    def __init__(self) -> None:
        super().__init__("control socket has closed unexpectedly")


class Parameters(Struct, frozen=True):
    """What is measured: for `time` seconds, or until `size` bytes or `blocks` blocks are sent, if those are not 0.

    `length` is a block's bytes, `bitrate` bits a second of each stream (0: as fast as it goes).
    """

    udp: bool = False
    time: int = 10
    size: int = 0
    blocks: int = 0
    parallel: int = 1
    length: int = TCP_BLOCK
    bitrate: int = 0
    reverse: bool = False

    def to_json(self) -> dict[str, object]:
        """Write them as a client sends them."""
        data: dict[str, object] = {
            "udp" if self.udp else "tcp": True,
            "omit": 0,
            "time": 0 if self.size or self.blocks else self.time,
            "num": self.size,
            "blockcount": self.blocks,
            "parallel": self.parallel,
        }
        if self.reverse:
            data["reverse"] = True
        data["len"] = self.length
        if self.bitrate:
            data["bandwidth"] = self.bitrate
        return {**data, "pacing_timer": 1000, "client_version": VERSION}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Parameters:
        """Read what a client sent. Iperf3Error for what cannot be."""
        try:
            found = Parameters(
                udp=bool(data.get("udp", False)),
                time=_bounded(data, "time", 0, MAXIMUM_TIME),
                size=_bounded(data, "num", 0, 1 << 62),
                blocks=_bounded(data, "blockcount", 0, 1 << 62),
                parallel=_bounded(data, "parallel", 1, MAXIMUM_STREAMS),
                length=_bounded(data, "len", 1, MAXIMUM_BLOCK),
                bitrate=_bounded(data, "bandwidth", 0, 1 << 62),
                reverse=bool(data.get("reverse", False)),
            )
        except (TypeError, ValueError) as error:
            raise Iperf3Error(f"unable to receive parameters from client: {error}") from None
        if data.get("bidirectional"):
            raise Iperf3Error("bidirectional tests are not there")
        if found.udp and not MINIMUM_UDP_BLOCK <= found.length <= MAXIMUM_UDP_BLOCK:
            raise Iperf3Error(f"block size invalid (minimum = {MINIMUM_UDP_BLOCK} bytes, maximum = 65507 bytes)")
        return found


def _bounded(data: dict[str, Any], name: str, lowest: int, highest: int) -> int:
    value = int(data.get(name, lowest))
    if not lowest <= value <= highest:
        raise ValueError(f"{name} is {value}")
    return value


class StreamResult(Struct):
    """What one side counted of one stream. `retransmits` is -1 where it is not the sender; `jitter` is in seconds."""

    identifier: int
    size: int = 0
    retransmits: int = -1
    jitter: float = 0.0
    errors: int = 0
    packets: int = 0
    end: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Write it as the sides exchange it."""
        return {
            "id": self.identifier,
            "bytes": self.size,
            "retransmits": self.retransmits,
            "jitter": self.jitter,
            "errors": self.errors,
            "packets": self.packets,
            "start_time": 0,
            "end_time": self.end,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> StreamResult:
        """Read it. Iperf3Error."""
        try:
            return StreamResult(
                int(data["id"]),
                int(data["bytes"]),
                int(data.get("retransmits", -1)),
                float(data.get("jitter", 0.0)),
                int(data.get("errors", 0)),
                int(data.get("packets", 0)),
                float(data.get("end_time", 0.0)),
            )
        except (KeyError, TypeError, ValueError):
            raise Iperf3Error("unable to receive results") from None


def results_to_json(results: list[StreamResult], *, sender: bool, congestion: str) -> dict[str, object]:
    """Write what one side exchanges at the end. Processors' use is not measured here, and told as 0."""
    head: dict[str, object] = {"cpu_util_total": 0, "cpu_util_user": 0, "cpu_util_system": 0}
    head["sender_has_retransmits"] = int(sender) if congestion else -1
    if congestion:
        head["congestion_used"] = congestion
    return {**head, "streams": [result.to_json() for result in results]}


def results_from_json(data: dict[str, Any]) -> list[StreamResult]:
    """Read the streams of what the other side sent. Iperf3Error."""
    streams = data.get("streams")
    if not isinstance(streams, list) or not all(isinstance(stream, dict) for stream in streams):
        raise Iperf3Error("unable to receive results")
    return [StreamResult.from_json(stream) for stream in streams]


def identifiers(count: int) -> list[int]:
    """Number streams as iperf3 does: 1, 3, 4, ..."""
    return [1, *range(3, count + 2)][:count]


def make_cookie(draw: Callable[[int], int]) -> bytes:
    """Draw a test's name; `draw` gives so many random bits."""
    return bytes(_COOKIE_LETTERS[draw(5)] for _ in range(COOKIE_LENGTH - 1)) + b"\0"


class Control:
    """One side of the control connection."""

    def __init__(self, stream: TcpStream) -> None:
        self.stream = stream
        self._data = bytearray()

    async def receive(self, size: int) -> bytes:
        """Wait for so many bytes. ClosedError."""
        while len(self._data) < size:
            more = await self.stream.receive_some(65_536)
            if not more:
                raise ClosedError
            self._data += more
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    async def send_state(self, state: State) -> None:
        """Tell the other side a state."""
        await self.stream.send_all(bytes((state,)))

    async def receive_state(self) -> State:
        """Wait for a state. ClosedError; Iperf3Error for one that there is not."""
        value = (await self.receive(1))[0]
        try:
            return State(value)
        except ValueError:
            raise Iperf3Error("received an unknown control message") from None

    async def send_json(self, value: object) -> None:
        """Send JSON, its length in front."""
        text = json.dumps(value, separators=(",", ":")).encode()
        await self.stream.send_all(len(text).to_bytes(4, "big") + text)

    async def receive_json(self) -> dict[str, Any]:
        """Wait for a JSON object. Iperf3Error."""
        length = int.from_bytes(await self.receive(4), "big")
        if length > LONGEST_JSON:
            raise Iperf3Error("unable to receive parameters from client: too long")
        try:
            value = json.loads(await self.receive(length))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Iperf3Error("unable to receive parameters from client: no JSON object")
        return value
