"""One question on its way through the name server's plugins, and how its answer is made.

Source: CoreDNS's request package and plugin.Handler; github.com/miekg/dns Msg.SetReply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from emulator.packet import dns
from emulator.packet.dns_edns import Edns
from emulator.packet.dns_record import CLASS_IN, Question, Record


class Request(Struct, frozen=True):
    """A query with exactly one question; `edns` is what its OPT record says."""

    query: dns.Message
    edns: Edns | None = None
    over_tcp: bool = False
    client: str = ""

    @property
    def question(self) -> Question:
        """What is asked, as it is spelled."""
        return self.query.questions[0]

    @property
    def name(self) -> str:
        """The name asked for, in lower case and with a dot at its end."""
        return self.question.name.lower()

    def asking(self, name: str, kind: int) -> Request:
        """Return a request of the same client for another name or type."""
        return replace(self, query=replace(self.query, questions=(Question(name, kind, CLASS_IN),)))

    def reply(
        self,
        answers: Sequence[Record] = (),
        additionals: Sequence[Record] = (),
        authorities: Sequence[Record] = (),
        rcode: int = dns.NOERROR,
    ) -> dns.Message:
        """Make an answer of a server that owns the name; recursion is not its business."""
        message = self.query.reply(rcode, tuple(answers), authoritative=True, recursion_available=False)
        return replace(message, authorities=tuple(authorities), additionals=tuple(additionals))

    def error(self, rcode: int) -> dns.Message:
        """Make an answer that only has a response code."""
        return self.query.reply(rcode, authoritative=False, recursion_available=False)


class Handler(Protocol):
    """A plugin: answers a request, or hands it to the next one."""

    async def serve(self, request: Request) -> dns.Message:
        """Answer. Failures are answers too (SERVFAIL)."""


class NoNext:
    """What stands behind the last plugin: nobody knows the name."""

    async def serve(self, request: Request) -> dns.Message:
        """Answer SERVFAIL (CoreDNS: "no next plugin found")."""
        return request.error(dns.SERVFAIL)


def inside(name: str, zone: str) -> bool:
    """Whether a lower-case name is a zone's or below it; both end with a dot."""
    return zone == "." or name == zone or name.endswith(f".{zone}")


def closest(name: str, zones: Sequence[str]) -> str | None:
    """Return the longest of `zones` that has a lower-case name, or None."""
    return max((zone for zone in zones if inside(name, zone)), key=len, default=None)


class Fallthrough(Struct, frozen=True):
    """For which zones a plugin hands on names that it does not have; no zones is never."""

    zones: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        """Whether a lower-case name goes on to the next plugin."""
        return closest(name, self.zones) is not None


def full_name(text: str) -> str:
    """Return a zone or host in lower case with a dot at its end."""
    return text.lower().rstrip(".") + "."
