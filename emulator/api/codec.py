"""Bytes <-> messages: frames of the control protocol on streams, and the datagrams of the underlay; sans-I/O.

Everything here comes from other processes, so sizes are checked before decoding and explicit limits hold while
decoding: whatever the bytes are, the result is a message or a named failure.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import msgpack  # type: ignore[import-untyped]

from emulator.errors import PodwireError

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one control message, without its length."""

MAX_NESTING = 64
"""Levels of maps and arrays in a control message; Kubernetes objects have about 15."""

MAX_CONTAINERS = 1_000_000
"""Maps and arrays in one control message: an empty one takes a byte on the wire and 72 in memory."""

MAX_ITEMS = 262_144
"""Entries of one map or array of a control message."""

LENGTH_BYTES = 4

DATAGRAM_VERSION = 1

MAX_DATAGRAM = 60_000
"""Bytes of one underlay datagram: under the 65,507 of UDP over IPv4."""

MIN_ETHERNET_FRAME = 14
MAX_NAME = 63
FRAME_OVERHEAD = 3
"""Bytes that a frame takes in a datagram besides its own."""

TRACE_OVERHEAD = 23
"""Bytes at most that the mark of a traced frame takes in a datagram."""

SEGMENT_OVERHEAD = 6
"""Bytes at most that the size of the TCP segments in a frame takes in a datagram."""

_MAX_DATAGRAM_FRAMES = 8_192
# The first bytes of msgpack's maps and arrays: fixmap, fixarray, array 16 and 32, map 16 and 32.
_CONTAINER_BYTES = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])


class Fault(enum.Enum):
    """Why bytes are no message."""

    EMPTY = "empty"
    OVERSIZE = "too large"
    TRUNCATED = "ends within a value"
    TRAILING = "goes on after its value"
    FORMAT = "not msgpack"
    NESTING = "nested too deeply"
    LIMIT = "a string, map or array in it is too large, or it has an extension type or a key that is no string"
    ENCODING = "a string in it is not UTF-8"
    TYPE = "a value in it has the wrong type"
    VERSION = "another version of the protocol"
    FRAME_SIZE = "a frame in it is shorter than an Ethernet header"


class CodecError(PodwireError):
    """A control message that cannot be decoded or encoded; the stream it came from cannot be used further."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        self.fault = fault
        super().__init__(f"control message: {fault.value}" + (f" ({detail})" if detail else ""))


class _ExtensionError(ValueError):
    """An extension type, of which the protocol has none."""


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise _ExtensionError(f"extension type {code}")


def _fault_of(error: Exception) -> Fault:
    """Name the failure that msgpack reported; its exceptions are ValueErrors of many kinds."""
    match error:
        case msgpack.StackError():
            return Fault.NESTING
        case msgpack.ExtraData():
            return Fault.TRAILING
        case msgpack.FormatError():
            return Fault.FORMAT
        case UnicodeDecodeError():
            return Fault.ENCODING
        case TypeError():  # an array or a map as a key
            return Fault.TYPE
    return Fault.TRUNCATED if "incomplete input" in str(error) else Fault.LIMIT


# --- control frames -------------------------------------------------------------------------------------------------


def encode_frame(message: Mapping[str, Any]) -> bytes:
    """Return `message` as its length (four bytes, big-endian) and its msgpack form.

    Values are None, bool, int, float, str, bytes, list, tuple and dict. Raises CodecError over `MAX_FRAME` bytes.
    """
    try:
        body: bytes = msgpack.packb(message)
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(Fault.TYPE, str(error)) from None
    if len(body) > MAX_FRAME:
        raise CodecError(Fault.OVERSIZE, f"{len(body)} bytes, at most {MAX_FRAME}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def encode_value(value: Mapping[str, Any]) -> bytes:
    """Return the msgpack form of a value that goes into several frames, for `encode_event_frame`."""
    return bytes(msgpack.packb(value))


def encode_event_frame(identity: int, event: bytes) -> bytes:
    """Return the frame `{"id": identity, "event": event}`, of which the event is encoded already."""
    body: bytes = b"\x82\xa2id" + msgpack.packb(identity) + b"\xa5event" + event
    if len(body) > MAX_FRAME:
        raise CodecError(Fault.OVERSIZE, f"{len(body)} bytes, at most {MAX_FRAME}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode_message(body: bytes) -> dict[str, Any]:
    """Return the map of string keys that `body` holds. Raises CodecError and nothing else."""
    if not body:
        raise CodecError(Fault.EMPTY)
    if len(body) > MAX_FRAME:
        raise CodecError(Fault.OVERSIZE, f"{len(body)} bytes, at most {MAX_FRAME}")
    containers = len(body) - len(body.translate(None, _CONTAINER_BYTES))  # at most so many: text has such bytes too
    if containers > MAX_CONTAINERS:
        raise CodecError(Fault.LIMIT, f"more than {MAX_CONTAINERS} maps and arrays")
    try:
        message = msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            ext_hook=_refuse_extension,
            max_str_len=MAX_FRAME,
            max_bin_len=MAX_FRAME,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, TypeError) as error:
        raise CodecError(_fault_of(error), str(error)) from None
    if type(message) is not dict:
        raise CodecError(Fault.TYPE, f"a map is expected, not {type(message).__name__}")
    if containers > MAX_NESTING:
        _check_nesting(message)
    return message


def _check_nesting(message: dict[str, Any]) -> None:
    """Raise CodecError over MAX_NESTING levels. Level by level: recursion is what the limit protects others from."""
    level: list[Any] = [message]
    for _ in range(MAX_NESTING):
        level = [
            value
            for container in level
            for value in (container.values() if type(container) is dict else container)
            if type(value) is dict or type(value) is list
        ]
        if not level:
            return
    raise CodecError(Fault.NESTING, f"more than {MAX_NESTING} levels")


class FrameReader:
    """Cuts a byte stream into control messages; an announced length over the limit is refused before its bytes come."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._limit = limit

    @property
    def pending(self) -> int:
        """Bytes of a message that has not wholly come; more than 0 at the stream's end means that it was cut."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray) -> list[dict[str, Any]]:
        """Return the messages that `data` completes. After a CodecError the stream must be closed."""
        buffer = self._buffer
        buffer += data
        messages = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            body = start + LENGTH_BYTES
            length = int.from_bytes(buffer[start:body], "big")
            if length > self._limit:
                raise CodecError(Fault.OVERSIZE, f"{length} bytes announced, at most {self._limit}")
            if len(buffer) - body < length:
                break
            start = body + length
            messages.append(decode_message(bytes(buffer[body:start])))
        del buffer[:start]
        return messages


# --- underlay datagrams ---------------------------------------------------------------------------------------------


class Datagram(NamedTuple):
    """Frames from one node to another.

    `traces` has, for the index of each traced frame, its trace's identity, the number of its last step, and a 1 if
    the rules that do not match are wanted too. `segments` has, for the index of each frame that stands for several TCP
    segments, how many bytes of payload each of these has.
    """

    sender: str
    epoch: int
    sequence: int
    frames: list[bytes]
    traces: dict[int, list[int]]
    segments: dict[int, int]


def datagram_room(sender: str) -> int:
    """Return how many bytes frames (each with `FRAME_OVERHEAD`) and trace marks may take in a datagram of `sender`."""
    return MAX_DATAGRAM - len(sender.encode()) - 32


_NONE: Mapping[int, int] = {}


class DatagramEncoder:
    """Encodes what one node sends; one for each process, since the packer's buffer is used again and again."""

    __slots__ = ("_epoch", "_packer", "_sender")

    def __init__(self, sender: str, epoch: int) -> None:
        self._sender = sender
        self._epoch = epoch
        self._packer = msgpack.Packer(buf_size=MAX_DATAGRAM)

    def encode(
        self,
        sequence: int,
        frames: Sequence[bytes],
        traces: Mapping[int, Sequence[int]],
        segments: Mapping[int, int] = _NONE,
    ) -> bytes:
        """Return one datagram. Raises CodecError if it exceeds `MAX_DATAGRAM`: gather within `datagram_room`."""
        value = (DATAGRAM_VERSION, self._sender, self._epoch, sequence, frames, traces)
        data: bytes = self._packer.pack((*value, segments) if segments else value)
        if len(data) > MAX_DATAGRAM:
            raise CodecError(Fault.OVERSIZE, f"a datagram of {len(data)} bytes, at most {MAX_DATAGRAM}")
        return data


def decode_datagram(data: bytes | bytearray | memoryview) -> Datagram | Fault:
    """Return what a peer sent, or why it is none: such a datagram is counted by its fault and dropped."""
    if len(data) > MAX_DATAGRAM:
        return Fault.OVERSIZE
    if not data:
        return Fault.EMPTY
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=False,
            ext_hook=_refuse_extension,
            max_str_len=MAX_NAME,
            max_bin_len=MAX_DATAGRAM,
            max_array_len=_MAX_DATAGRAM_FRAMES,
            max_map_len=_MAX_DATAGRAM_FRAMES,
            max_ext_len=0,
        )
    except (ValueError, TypeError) as error:
        return _fault_of(error)
    return _check_datagram(value)


def _check_datagram(value: Any) -> Datagram | Fault:
    """Check the shape of a decoded datagram; the checks over frames run in C, since there are up to thousands."""
    if type(value) is not list or not value or type(value[0]) is not int:
        return Fault.TYPE
    if value[0] != DATAGRAM_VERSION:
        return Fault.VERSION
    if len(value) == 6:  # no segment sizes
        value.append({})
    if len(value) != 7:
        return Fault.TYPE
    _, sender, epoch, sequence, frames, traces, segments = value
    if type(sender) is not str or type(epoch) is not int or type(sequence) is not int:
        return Fault.TYPE
    if type(frames) is not list or type(traces) is not dict or type(segments) is not dict or epoch < 0 or sequence < 0:
        return Fault.TYPE
    if frames:
        types = set(map(type, frames))
        if len(types) != 1 or bytes not in types:
            return Fault.TYPE
        if min(map(len, frames)) < MIN_ETHERNET_FRAME:
            return Fault.FRAME_SIZE
    if traces and not all(_is_trace_mark(index, mark, len(frames)) for index, mark in traces.items()):
        return Fault.TYPE
    if segments and not all(_is_segment_size(index, size, len(frames)) for index, size in segments.items()):
        return Fault.TYPE
    return Datagram(sender, epoch, sequence, frames, traces, segments)


def _is_segment_size(index: object, size: object, frames: int) -> bool:
    return type(index) is int and 0 <= index < frames and type(size) is int and 0 < size <= MAX_DATAGRAM


def _is_trace_mark(index: object, mark: object, frames: int) -> bool:
    return (
        type(index) is int
        and 0 <= index < frames
        and type(mark) is list
        and 2 <= len(mark) <= 3
        and all(type(number) is int for number in mark)
    )
