"""The list of options behind a header of IPv4 (RFC 791) or TCP (RFC 9293): both are written alike."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.errors import WireError
from emulator.packet.address import Buffer

END = 0
NOP = 1


def iterate_options(options: Buffer, protocol: str, *, lenient: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, data) for each option up to the end-of-list mark, no-operations included.

    WireError, which names the protocol, at an option whose length is less than 2 or runs beyond the header; with
    `lenient` the list ends there.
    """
    position = 0
    while position < len(options):
        kind = options[position]
        if kind == END:
            return
        if kind == NOP:
            yield kind, b""
            position += 1
            continue
        length = options[position + 1] if position + 1 < len(options) else 0
        if length < 2 or position + length > len(options):
            if lenient:
                return
            raise WireError(f"{protocol}: option {kind} at byte {position} has a bad length")
        yield kind, bytes(options[position + 2 : position + length])
        position += length
