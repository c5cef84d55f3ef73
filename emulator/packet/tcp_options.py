"""TCP's options: maximum segment size, window scale, selective acknowledgement, timestamps; others are kept raw.

RFC 9293 section 3.2, RFC 7323 (window scale, timestamps), RFC 2018 (SACK).
"""

import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer
from emulator.packet.options import END, NOP, iterate_options

MSS = 2
WINDOW_SCALE = 3
SACK_PERMITTED = 4
SACK = 5
TIMESTAMPS = 8

MAXIMUM_LENGTH = 40

_PAIR = struct.Struct("!II")
_LENGTHS = {MSS: 4, WINDOW_SCALE: 3, SACK_PERMITTED: 2, TIMESTAMPS: 10}


class TcpOptions(Struct, frozen=True):
    """A segment's options. `window_scale` is a shift count, `timestamps` (value, echo reply).

    `sack` has (left edge, right edge) of each block; `unknown` has (kind, data) of every other option, in order.
    """

    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    unknown: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def parse(cls, options: Buffer, *, lenient: bool = False) -> Self:
        """Read options; the last of a kind counts. WireError at a bad length.

        With `lenient`, as Linux's tcp_parse_options: what runs beyond the header ends the list, and a known option of
        a wrong length is passed over.
        """
        mss = window_scale = timestamps = None
        sack_permitted = False
        sack: tuple[tuple[int, int], ...] = ()
        unknown: list[tuple[int, bytes]] = []
        for kind, data in iterate_options(options, "TCP", lenient=lenient):
            if not _has_right_length(kind, len(data) + 2):
                if not lenient:
                    raise WireError(f"TCP: option {kind} of {len(data) + 2} bytes has a bad length")
            elif kind == MSS:
                mss = int.from_bytes(data, "big")
            elif kind == WINDOW_SCALE:
                window_scale = data[0]
            elif kind == SACK_PERMITTED:
                sack_permitted = True
            elif kind == TIMESTAMPS:
                timestamps = _PAIR.unpack(data)
            elif kind == SACK:
                sack = tuple(_PAIR.iter_unpack(data))
            elif kind != NOP:
                unknown.append((kind, data))
        return cls(mss, window_scale, sack_permitted, timestamps, sack, tuple(unknown))

    def build(self) -> bytes:
        """Write the options, each filled up to whole words with no-operations in front, as Linux does.

        WireError if they are longer than 40 bytes together.
        """
        parts = []
        if self.mss is not None:
            parts.append(b"\x02\x04" + self.mss.to_bytes(2, "big"))
        if self.timestamps is not None:
            # Linux puts SACK permitted in the place of the two no-operations.
            parts.append(
                (b"\x04\x02\x08\x0a" if self.sack_permitted else b"\x01\x01\x08\x0a") + _PAIR.pack(*self.timestamps)
            )
        elif self.sack_permitted:
            parts.append(b"\x01\x01\x04\x02")
        if self.window_scale is not None:
            parts.append(bytes((NOP, WINDOW_SCALE, 3, self.window_scale)))
        if self.sack:
            parts.append(bytes((NOP, NOP, SACK, 2 + 8 * len(self.sack))))
            parts += [_PAIR.pack(*block) for block in self.sack]
        for kind, data in self.unknown:
            parts.append(bytes(-(len(data) + 2) % 4).replace(b"\0", b"\x01") + bytes((kind, len(data) + 2)) + data)
        options = b"".join(parts)
        if len(options) > MAXIMUM_LENGTH:
            raise WireError(f"TCP: {len(options)} bytes of options are more than {MAXIMUM_LENGTH}")
        return options


def _has_right_length(kind: int, length: int) -> bool:
    if kind == SACK:
        return length >= 10 and (length - 2) % 8 == 0
    return _LENGTHS.get(kind, length) == length


def format_options(options: Buffer) -> str:
    """Write options in the order they have, as tcpdump does."""
    parts = []
    try:
        for kind, data in iterate_options(options, "TCP"):
            parts.append(_format_option(kind, data))
    except WireError:
        parts.append("[bad opt]")
    else:
        if END in options and sum(_wire_length(kind, data) for kind, data in iterate_options(options, "TCP")) < len(
            options
        ):
            parts.append("eol")
    return ",".join(parts)


def _wire_length(kind: int, data: bytes) -> int:
    return 1 if kind == NOP else 2 + len(data)


def _format_option(kind: int, data: bytes) -> str:
    if kind == NOP:
        return "nop"
    if not _has_right_length(kind, len(data) + 2):
        return f"[bad opt {kind}]"
    if kind == MSS:
        return f"mss {int.from_bytes(data, 'big')}"
    if kind == WINDOW_SCALE:
        return f"wscale {data[0]}"
    if kind == SACK_PERMITTED:
        return "sackOK"
    if kind == TIMESTAMPS:
        value, echo = _PAIR.unpack(data)
        return f"TS val {value} ecr {echo}"
    if kind == SACK:
        blocks = list(_PAIR.iter_unpack(data))
        return f"sack {len(blocks)} " + "".join(f"{{{left}:{right}}}" for left, right in blocks)
    return f"unknown-{kind}" + (f" 0x{data.hex()}" if data else "")
