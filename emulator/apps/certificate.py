"""Certificates for the programs that serve TLS: signed by themselves, made when such a program starts.

`cryptography` is imported only then (it takes a process some 12 MB): most nodes never serve TLS.
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

VALID = timedelta(days=3650)
_MARGIN = timedelta(days=1)  # clocks differ


def server_context(organization: str, common_name: str, names: Sequence[str], now: float) -> ssl.SSLContext:
    """Make a server's settings with a new key (P-256) and a certificate for `names` (names and addresses).

    `now` is in seconds since the epoch; an empty `common_name` is left out of the subject.
    """
    certificate = _make(organization, common_name, names, datetime.fromtimestamp(now, UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.NamedTemporaryFile() as file:  # the ssl module reads keys from files only; 0600, gone in a moment
        file.write(certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _make(organization: str, common_name: str, names: Sequence[str], now: datetime) -> bytes:
    """Return key and certificate in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)]
    if common_name:
        attributes.append(x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name))
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _MARGIN)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
