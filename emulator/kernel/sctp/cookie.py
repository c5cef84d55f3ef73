"""The state cookie: what a listener would have to remember between INIT ACK and COOKIE ECHO, sealed and sent along.

RFC 9260 section 5.1.3. So an INIT with a forged address costs no memory.
"""

from __future__ import annotations

import struct

from msgspec import Struct
from msgspec.structs import astuple

from emulator.kernel.siphash import siphash

LIFETIME = 60.0  # seconds (net.sctp.valid_cookie_life)

_COOKIE = struct.Struct("!IIIIIIHHHHIId")  # a multiple of eight bytes
_SEAL = struct.Struct("!Q")
_WORDS = struct.Struct(f"<{_COOKIE.size // 8}Q")


class Cookie(Struct, frozen=True):
    """Both sides' tags and first numbers, the peer's address, window and streams, and an old association's tags."""

    own_tag: int
    peer_tag: int
    own_first: int
    peer_first: int
    peer_address: int
    peer_window: int
    peer_port: int
    own_port: int
    outbound: int
    inbound: int
    own_tie: int
    peer_tie: int
    created: float

    def seal(self, key: tuple[int, int]) -> bytes:
        """Write it, with a keyed hash behind it."""
        body = _COOKIE.pack(*astuple(self))
        return body + _SEAL.pack(siphash(_WORDS.unpack(body), key))


def unseal(data: bytes, key: tuple[int, int]) -> Cookie | None:
    """Read a cookie of ours; None if it is not, whatever the bytes are."""
    if len(data) != _COOKIE.size + _SEAL.size:
        return None
    body = data[: _COOKIE.size]
    if _SEAL.unpack_from(data, _COOKIE.size)[0] != siphash(_WORDS.unpack(body), key):
        return None
    return Cookie(*_COOKIE.unpack(body))
