"""A name server over a `Zone`, that a caller has made in Python: for resolvers outside a cluster, and tests."""

from __future__ import annotations

from msgspec.structs import replace

from emulator.apps.directory import Zone
from emulator.apps.dns.request import Request
from emulator.packet import dns


class ZoneAnswers:
    """Answers all there is from the zone; names outside of it are refused. It is a resolver: recursion is available."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    async def serve(self, request: Request) -> dns.Message:
        """Answer."""
        question = request.question
        answer = self._zone.lookup(question.name, question.type)
        if not answer.authoritative:
            return replace(request.error(dns.REFUSED), recursion_available=True)
        records = tuple(
            replace(record, name=question.name) if record.name.lower() == request.name else record
            for record in answer.records
        )
        rcode = dns.NOERROR if answer.exists or records else dns.NXDOMAIN
        message = request.reply(records, (), () if records else answer.authority, rcode)
        return replace(message, recursion_available=True)
