"""agnhost's SCTP: the servers of netexec and porter, the client of `/dial` and `connect`.

Source: Kubernetes, test/images/agnhost/{netexec,porter,connect}; loaded only where a pod asks for SCTP.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio

from emulator.apps.environment import Network, SctpListener
from emulator.apps.go.net import HostPort, error_text

Answer = Callable[[str, str], bytes | None]
"""Takes what a client said and its address; gives the answer, if there is one."""

_MOST = 1024  # bytes that are read


async def serve_sctp(listener: SctpListener, answer: Answer) -> None:
    """Take one client after the other, as the original does, until cancelled: a message, an answer, the end."""
    try:
        while True:
            association = await listener.accept()
            try:
                async with association:
                    said = (await association.receive()).payload[:_MOST].decode("utf-8", "replace").strip().lower()
                    host, port = association.remote_address
                    answered = answer(said, f"{host}:{port}")
                    if answered:
                        await association.send(answered)
            except OSError:
                continue  # the client is gone; the original would end with it, and start again
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def greet_sctp(listener: SctpListener, value: bytes) -> None:
    """Say the same to every client and hang up (`agnhost porter`), until cancelled."""
    try:
        while True:
            association = await listener.accept()
            with suppress(OSError):
                async with association:
                    await association.send(value)
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


class SctpError(Exception):
    """What failed ("sctp dial failed", ...), and why in Go's words, which is `reason` alone."""

    def __init__(self, failed: str, reason: str) -> None:
        super().__init__(f"{failed}. err:{reason}")
        self.reason = reason


async def ask_sctp(network: Network, address: HostPort, message: bytes) -> bytes:
    """Send one message and return the first answer, empty if the other side has none. SctpError."""
    failed = "sctp dial failed"
    try:
        async with await network.open_sctp(*address) as association:
            failed = "sctp connection write failed"
            await association.send(message)
            failed = "reading from sctp connection failed"
            return (await association.receive()).payload
    except OSError as error:
        raise SctpError(failed, error_text(error)) from error
