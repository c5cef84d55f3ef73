"""Protocols that Linux takes and that are not emulated: what becomes of their packets is not known."""

from __future__ import annotations

from types import MappingProxyType

NOT_EMULATED = "NOT_EMULATED"
"""The reason of such packets, so that scripts can tell them from those that Linux drops. No reason of Linux's."""

_KINDS = MappingProxyType(
    {
        b"\x86\xdd": "IPv6", b"\x88\x47": "MPLS", b"\x88\x48": "MPLS", b"\x88\x63": "PPPoE", b"\x88\x64": "PPPoE",
        b"\x88\xe5": "MACsec",
    }
)  # fmt: skip


def not_emulated(ethertype: bytes | bytearray) -> str:
    """Name the protocol of an ethertype; nothing if it is emulated, or Linux has no handler for it."""
    return _KINDS.get(bytes(ethertype), "")
