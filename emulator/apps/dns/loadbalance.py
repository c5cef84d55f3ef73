"""The plugin `loadbalance`: draws the order of addresses anew for each answer, aliases first.

Source: CoreDNS's plugin/loadbalance (policy round_robin).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from emulator.apps.dns.request import Handler, Request
from emulator.packet import dns
from emulator.packet.dns_record import AAAA, CNAME, MX, A, Record

_DRAWN = frozenset({A, AAAA, MX})


class LoadBalance:
    """Shuffles what the next plugin answers; `draw` gives a number of so many random bits."""

    def __init__(self, draw: Callable[[int], int], following: Handler) -> None:
        self._draw = draw
        self._next = following

    async def serve(self, request: Request) -> dns.Message:
        """Answer as the next plugin does, in another order."""
        message = await self._next.serve(request)
        if message.rcode != dns.NOERROR:
            return message
        return replace(
            message,
            answers=self._ordered(message.answers),
            authorities=self._ordered(message.authorities),
            additionals=self._ordered(message.additionals),
        )

    def _ordered(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        if len(records) < 2:
            return records
        aliases = [record for record in records if record.type == CNAME]
        rest = [record for record in records if record.type not in _DRAWN and record.type != CNAME]
        addresses = self._shuffled([record for record in records if record.type in {A, AAAA}])
        exchanges = self._shuffled([record for record in records if record.type == MX])
        return (*aliases, *rest, *addresses, *exchanges)

    def _shuffled(self, records: list[Record]) -> list[Record]:
        for index in range(len(records) - 1):
            other = index + self._draw(16) % (len(records) - index)
            records[index], records[other] = records[other], records[index]
        return records
