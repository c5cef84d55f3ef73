"""What curl says of a transfer with `-v`: notes, headers both ways, and that there was data, once in a row."""

from __future__ import annotations

import ssl
from collections.abc import Callable

# Names of handshake messages, of curl's lib/vtls/openssl.c.
_HANDSHAKE = {
    0: "Hello request",
    1: "Client hello",
    2: "Server hello",
    4: "Newsession Ticket",
    8: "Encrypted Extensions",
    11: "Certificate",
    12: "Server key exchange",
    13: "Request CERT",
    14: "Server finished",
    15: "CERT verify",
    16: "Client key exchange",
    20: "Finished",
    22: "Certificate Status",
    24: "Key update",
}
_ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record mac",
    40: "handshake failure",
    42: "bad certificate",
    45: "certificate expired",
    46: "certificate unknown",
    48: "unknown CA",
    70: "protocol version",
    80: "internal error",
    112: "unrecognized name",
    116: "certificate required",
}
_CHANGE_CIPHER, _ALERT, _RECORD, _HEADER, _INNER = 20, 21, 22, 256, 257
_VERSIONS = {0x301: "TLSv1.0", 0x302: "TLSv1.1", 0x303: "TLSv1.2", 0x304: "TLSv1.3"}


class Verbose:
    """Writes it all to standard error, or nothing at all where `-v` was not given."""

    def __init__(self, write: Callable[[str], None], on: bool) -> None:
        self._write = write
        self.on = on
        self._told_data = False

    def note(self, line: str) -> None:
        """Say what happens."""
        self._line("*", line)

    def sent(self, line: str) -> None:
        """Show a header that went out."""
        self._line(">", line)

    def received(self, line: str) -> None:
        """Show a header that came in."""
        self._line("<", line)

    def data(self, mark: str, size: int) -> None:
        """Tell of data that came ("{") or went ("}"): only of the first until something else is said."""
        if self.on and not self._told_data:
            self._told_data = True
            self._write(f"{mark} [{size} bytes data]\n")

    def _line(self, mark: str, line: str) -> None:
        if self.on:
            self._told_data = False
            self._write(f"{mark} {line}\n")

    def watch(self, context: ssl.SSLContext) -> None:
        """Tell of each TLS message of connections of this context, as OpenSSL's message callback does for curl."""
        if self.on and hasattr(context, "_msg_callback"):  # undocumented: where it goes, only these lines go with it
            context._msg_callback = self._message

    def _message(self, _conn: object, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
        outgoing = direction == "write"
        content = int(content)
        if content not in {_HEADER, _INNER}:
            way = "OUT" if outgoing else "IN"
            self.note(f"{_VERSIONS.get(int(version), 'TLS')} ({way}), {_describe(content, int(kind), data)}:")
        self.data("}" if outgoing else "{", len(data))


def _describe(content: int, kind: int, data: bytes) -> str:
    if content == _CHANGE_CIPHER:
        return "TLS change cipher, Change cipher spec (1)"
    if content == _ALERT and len(data) == 2:
        return f"TLS alert, {_ALERTS.get(data[1], 'unknown')} ({data[0] << 8 | data[1]})"
    name = "TLS handshake" if content == _RECORD else "TLS app data"
    return f"{name}, {_HANDSHAKE.get(kind, 'Unknown')} ({kind})"
