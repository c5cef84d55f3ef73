"""TLS of curl: a server's certificate accepted or not, in curl's words for what it found."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from emulator.apps.commands.curl_options import CurlOptions
from emulator.apps.commands.curl_url import CurlError, Url
from emulator.apps.commands.curl_verbose import Verbose
from emulator.apps.environment import TcpStream
from emulator.apps.tls import TlsError, TlsStream, connect

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

CONNECT_FAILED, UNVERIFIED, BAD_CA_FILE = 35, 60, 77
ADVICE = """More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the web page mentioned above.
"""
"""What curl prints behind a certificate's error."""

_LIBRARY = "OpenSSL/3.0.19"
_CODES = {  # OpenSSL's numbers of reasons (include/openssl/sslerr.h), in its library number 20
    "HTTP_REQUEST": 156,
    "NO_PROTOCOLS_AVAILABLE": 191,
    "UNEXPECTED_MESSAGE": 244,
    "UNSUPPORTED_PROTOCOL": 258,
    "WRONG_VERSION_NUMBER": 267,
    "RECORD_LAYER_FAILURE": 313,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 1040,
    "TLSV1_ALERT_PROTOCOL_VERSION": 1070,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": 1116,
}
_SELF_SIGNED, _NO_ISSUER = "self-signed certificate (18)", "unable to get local issuer certificate (20)"


async def secure(stream: TcpStream, url: Url, options: CurlOptions, verbose: Verbose) -> TlsStream:
    """Begin TLS on a connection. CurlError where the handshake fails, or the certificate is not to be trusted."""
    if "cacert" in options.values:  # a pod has no files
        raise CurlError(BAD_CA_FILE, f"error setting certificate file: {options.values['cacert']}")
    insecure = "insecure" in options.switches
    context = _context(insecure)
    protocols = ["http/1.0" if "http1.0" in options.switches else "http/1.1"]
    context.set_alpn_protocols(protocols)
    verbose.note(f"ALPN: offers {','.join(protocols)}")
    verbose.watch(context)
    try:
        secured = await connect(stream, context, url.host)
    except TlsError as error:
        raise _failure(error, url) from None
    if verbose.on:
        _tell(secured, verbose)
    return secured


def _context(insecure: bool) -> ssl.SSLContext:
    """Make the settings. No authority is known: no certificate of the emulated servers has one behind it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _failure(error: TlsError, url: Url) -> CurlError:
    if error.verify_message:
        return CurlError(UNVERIFIED, f"SSL certificate problem: {error.verify_message}")
    if error.reason:
        code = 20 << 23 | _CODES.get(error.reason, 0)
        words = error.reason.lower().replace("_", " ")
        return CurlError(CONNECT_FAILED, f"{_LIBRARY}: error:{code:08X}:SSL routines::{words}")
    words = "SSL_ERROR_SYSCALL" if str(error) == "EOF" else str(error)
    return CurlError(CONNECT_FAILED, f"OpenSSL SSL_connect: {words} in connection to {url.host}:{url.port} ")


def _tell(stream: TlsStream, verbose: Verbose) -> None:
    """Say what was agreed on, and whose certificate it is. Only verbose runs load what reads certificates."""
    from cryptography import x509

    verbose.note(f"SSL connection using {stream.version} / {stream.cipher}")
    agreed = stream.protocol
    verbose.note(
        f"ALPN: server accepted {agreed}" if agreed else "ALPN: server did not agree on a protocol. Uses default."
    )
    certificate = x509.load_der_x509_certificate(stream.peer_certificate)
    verbose.note("Server certificate:")
    verbose.note(f" subject: {_name(certificate.subject)}")
    verbose.note(f" start date: {_date(certificate, start=True)}")
    verbose.note(f" expire date: {_date(certificate, start=False)}")
    verbose.note(f" issuer: {_name(certificate.issuer)}")
    result = _SELF_SIGNED if certificate.issuer == certificate.subject else _NO_ISSUER
    verbose.note(f" SSL certificate verify result: {result}, continuing anyway.")
    verbose.note(f"using {agreed.upper() if agreed else 'HTTP/1.x'}")


def _name(name: Name) -> str:
    return "; ".join(f"{attribute.rfc4514_attribute_name}={attribute.value!s}" for attribute in name)


def _date(certificate: Certificate, *, start: bool) -> str:
    moment = certificate.not_valid_before_utc if start else certificate.not_valid_after_utc
    return f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S %Y} GMT"
