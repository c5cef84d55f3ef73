"""Domain names in DNS messages: labels, compression both ways, their text form (RFC 1035 sections 3.1, 4.1.4, 5.1).

A name is text that ends with a dot; "." is the root. Dots and backslashes inside a label, and what is not printable
ASCII, are escaped with a backslash, so that every name on the wire has one text form.
"""

import re

from emulator.errors import WireError
from emulator.packet.address import Buffer

ROOT = "."
MAXIMUM_LABEL = 63
MAXIMUM_NAME = 255  # on the wire, length bytes and the root's included

_POINTER = 0xC0
_MAXIMUM_POINTERS = 126  # more than a name of 255 bytes can need
_PLAIN = re.compile(rb"[!-\-/-\[\]-~]*")  # printable, neither dot nor backslash
_ESCAPE = re.compile(r"\\(?:([0-9]{3})|(.))|([^\\])|(\\)", re.DOTALL)


def parse_name(buffer: Buffer, offset: int) -> tuple[str, int]:
    """Read a name at `offset`; return it and the offset behind it. WireError if malformed.

    Each compression pointer must go back, before the labels it stands behind: so no loop is possible.
    """
    labels: list[str] = []
    length = 1
    position = start = offset
    after = pointers = 0
    while True:
        size = _byte(buffer, position)
        if size == 0:
            return ".".join((*labels, "")) if labels else ROOT, after or position + 1
        if size >= _POINTER:
            target = (size & 0x3F) << 8 | _byte(buffer, position + 1)
            after = after or position + 2
            pointers += 1
            if target >= start or pointers > _MAXIMUM_POINTERS:
                raise WireError(f"DNS: the compression pointer at byte {position} does not lead back")
            position = start = target
            continue
        if size > MAXIMUM_LABEL:
            raise WireError(f"DNS: unknown label type {size >> 6} at byte {position}")
        end = position + 1 + size
        length += size + 1
        if end > len(buffer) or length > MAXIMUM_NAME:
            raise WireError(f"DNS: the name at byte {offset} is cut or longer than {MAXIMUM_NAME} bytes")
        labels.append(_escape(bytes(buffer[position + 1 : end])))
        position = end


def _byte(buffer: Buffer, position: int) -> int:
    if position >= len(buffer):
        raise WireError("DNS: the message ends inside a name")
    return buffer[position]


def _escape(label: bytes) -> str:
    if _PLAIN.fullmatch(label):
        return label.decode("ascii")
    return "".join(
        f"\\{chr(byte)}" if byte in b".\\" else chr(byte) if 0x21 <= byte <= 0x7E else f"\\{byte:03d}" for byte in label
    )


def split_name(name: str) -> tuple[bytes, ...]:
    """Return the labels of a name in text form; the dot at its end may be missing. WireError if it is no name."""
    if name == ROOT:
        return ()
    if "\\" in name:
        labels = _unescape(name)
    else:
        try:
            labels = name.removesuffix(".").encode("ascii").split(b".")
        except UnicodeEncodeError:
            raise WireError(f"DNS: not a domain name: {name!r}; other letters than ASCII need an escape") from None
    if not all(0 < len(label) <= MAXIMUM_LABEL for label in labels):
        raise WireError(f"DNS: not a domain name: {name!r}; each label has 1 to {MAXIMUM_LABEL} bytes")
    if sum(len(label) + 1 for label in labels) + 1 > MAXIMUM_NAME:
        raise WireError(f"DNS: the name {name[:20]!r}... is longer than {MAXIMUM_NAME} bytes")
    return tuple(labels)


def _unescape(name: str) -> list[bytes]:
    labels = [bytearray()]
    for decimal, escaped, plain, lone in _ESCAPE.findall(name):
        if plain == ".":
            labels.append(bytearray())
            continue
        code = int(decimal) if decimal else ord(escaped or plain or "\u0100")
        if lone or code > 255 or (not decimal and code > 127):
            raise WireError(f"DNS: not a domain name: {name!r}; a bad escape or letter")
        labels[-1].append(code)
    if not labels[-1]:
        labels.pop()
    return [bytes(label) for label in labels]


class NameWriter:
    """Appends names to a message, with pointers to what was written before. Case is kept: only equal case is shared."""

    __slots__ = ("_compress", "_known", "_message")

    def __init__(self, message: bytearray, *, compress: bool = True) -> None:
        self._message = message
        self._compress = compress
        self._known: dict[tuple[bytes, ...], int] = {}

    def write(self, name: str, *, compress: bool = True) -> None:
        """Append a name. WireError if it is no name."""
        message = self._message
        labels = split_name(name)
        while labels:
            known = self._known.get(labels) if compress and self._compress else None
            if known is not None:
                message += (_POINTER << 8 | known).to_bytes(2, "big")
                return
            if len(message) < 0x4000:
                self._known.setdefault(labels, len(message))
            message.append(len(labels[0]))
            message += labels[0]
            labels = labels[1:]
        message.append(0)
