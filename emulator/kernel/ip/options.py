"""IPv4 options on their way through: checked when a packet is routed, filled in when it goes on, echoed by answers.

net/ipv4/ip_options.c: record route and timestamp get this machine's address and time, an overflow is counted, what lies
behind the end of the list is blanked. Source routes are noted only; `IpInput` refuses them. Offsets count from the
beginning of the IPv4 header.
"""

from __future__ import annotations

from msgspec import Struct

from emulator.kernel.ip.header import MINIMUM_HEADER, NETWORK
from emulator.kernel.skb import Skb
from emulator.packet.checksum import checksum

END, NOP, RECORD_ROUTE, TIMESTAMP, LOOSE_ROUTE, STRICT_ROUTE, ROUTER_ALERT = 0, 1, 7, 68, 131, 137, 148
TIMES_ONLY, TIMES_AND_ADDRESSES, PRESPECIFIED = 0, 1, 3
_DAY_MS = 86_400_000


class OptionError(Exception):
    """Malformed options. `position` is what an ICMP parameter problem points at."""

    def __init__(self, position: int) -> None:
        self.position = position


class Options(Struct):
    """Where options are, and what is still to be filled in (`struct ip_options`). 0: there is none."""

    record_route: int = 0
    timestamp: int = 0
    source_route: int = 0
    records_address: bool = False
    stamps_address: bool = False
    stamps_time: bool = False
    changed: bool = False  # the header checksum is stale until the packet goes on


def compile_options(skb: Skb, address: int, milliseconds: int) -> Options:
    """Check the options of a received packet and write `address` and the time where they ask for it.

    `milliseconds`: since midnight. OptionError for malformed ones; `skb.options` then has those before them, which the
    report of the error echoes.
    """
    data, position, end = skb.data, NETWORK + MINIMUM_HEADER, skb.transport
    found = skb.options = Options()
    while position < end and data[position] != END:
        kind = data[position]
        if kind == NOP:
            position += 1
            continue
        size = data[position + 1] if position + 1 < end else 0
        if size < 2 or position + size > end:
            raise OptionError(position - NETWORK)
        if kind in (LOOSE_ROUTE, STRICT_ROUTE):
            _check(data, position, size, minimum=3, first=4)
            _once(position, found.source_route)
            found.source_route = position - NETWORK
        elif kind == RECORD_ROUTE:
            _record(data, position, size, found, address)
        elif kind == TIMESTAMP:
            _stamp(data, position, size, found, address, milliseconds)
        elif kind == ROUTER_ALERT and size < 4:
            raise OptionError(position + 1 - NETWORK)
        position += size
    if any(data[position:end]):
        data[position:end] = bytes(end - position)
        found.changed = True
    return found


def _check(data: bytearray, position: int, size: int, *, minimum: int, first: int) -> None:
    """Refuse an option that is too short, or whose pointer lies before its first slot."""
    if size < minimum:
        raise OptionError(position + 1 - NETWORK)
    if data[position + 2] < first:
        raise OptionError(position + 2 - NETWORK)


def _once(position: int, seen: int) -> None:
    """Refuse an option that was there before."""
    if seen:
        raise OptionError(position - NETWORK)


def _record(data: bytearray, position: int, size: int, found: Options, address: int) -> None:
    _once(position, found.record_route)
    _check(data, position, size, minimum=3, first=4)
    pointer = data[position + 2]
    if pointer <= size:
        _need(position, pointer + 3, size)
        _write(data, position + pointer - 1, address)
        data[position + 2] = pointer + 4
        found.records_address = found.changed = True
    found.record_route = position - NETWORK


def _stamp(data: bytearray, position: int, size: int, found: Options, address: int, milliseconds: int) -> None:
    _once(position, found.timestamp)
    _check(data, position, size, minimum=4, first=5)
    pointer, flags = data[position + 2], data[position + 3]
    if pointer > size:
        if flags >> 4 == 15:
            raise OptionError(position + 3 - NETWORK)
        data[position + 3] = flags & 15 | (flags >> 4) + 1 << 4
        found.changed = True
        found.timestamp = position - NETWORK
        return
    _need(position, pointer + 3, size)
    flags &= 15
    if flags == TIMES_ONLY:
        _write(data, position + pointer - 1, milliseconds)
        data[position + 2] = pointer + 4
        found.changed = True
    elif flags == TIMES_AND_ADDRESSES:
        _need(position, pointer + 7, size)
        _write(data, position + pointer - 1, address)
        _write(data, position + pointer + 3, milliseconds)
        data[position + 2] = pointer + 8
        found.stamps_address = found.changed = True
    elif flags == PRESPECIFIED:
        _need(position, pointer + 7, size)
    else:
        return
    found.timestamp = position - NETWORK
    found.stamps_time = flags != PRESPECIFIED


def _need(position: int, last: int, size: int) -> None:
    """Refuse an option whose next slot does not fit."""
    if last > size:
        raise OptionError(position + 2 - NETWORK)


def _write(data: bytearray, at: int, value: int) -> None:
    data[at : at + 4] = value.to_bytes(4, "big")


def forward_options(skb: Skb, options: Options, address: int) -> None:
    """Write the address that a packet leaves by over the one it came in for, and mend the checksum."""
    data = skb.data
    if options.records_address:
        at = NETWORK + options.record_route
        _write(data, at + data[at + 2] - 5, address)
    if options.changed:
        options.changed = False
        data[NETWORK + 10 : NETWORK + 12] = b"\0\0"
        data[NETWORK + 10 : NETWORK + 12] = checksum(data[NETWORK : skb.transport]).to_bytes(2, "big")


def echo_options(skb: Skb, source: int, milliseconds: int) -> bytes | None:
    """Return the options of an answer that `source` sends (__ip_options_echo); None: nothing can be answered."""
    options = skb.options
    if options is None:
        return b""
    data, echoed = skb.data, bytearray()
    if options.record_route:
        route = _option(data, options.record_route)
        pointer, size = route[2], route[1]
        if options.records_address and pointer <= size:
            if pointer + 3 > size:
                return None
            route[2] = pointer + 4
            _write(route, pointer - 1, source)
        echoed += route
    if options.timestamp:
        stamps = _option(data, options.timestamp)
        pointer, size = stamps[2], stamps[1]
        if pointer <= size:
            for wanted, value in ((options.stamps_address, source), (options.stamps_time, milliseconds)):
                if wanted and pointer + 3 > size:
                    return None
                if wanted:
                    _write(stamps, pointer - 1, value)
                    pointer += 4
            stamps[2] = pointer
        echoed += stamps
    return bytes(echoed) + bytes(-len(echoed) % 4)


def note_options(skb: Skb) -> None:
    """Note the options that a packet of ours was built with, for whoever answers it on its way out."""
    data, position, end = skb.data, NETWORK + MINIMUM_HEADER, skb.transport
    found = skb.options = Options()
    while position < end and data[position] > NOP:
        if data[position] == RECORD_ROUTE:
            found.record_route = position - NETWORK
            found.records_address = data[position + 2] > 4
        elif data[position] == TIMESTAMP:
            found.timestamp = position - NETWORK
        position += data[position + 1]


def _option(data: bytearray, offset: int) -> bytearray:
    at = NETWORK + offset
    return data[at : at + data[at + 1]]


def milliseconds_of_day(now: float) -> int:
    """Return the time as options and ICMP timestamps have it: milliseconds since midnight, for `now` in seconds."""
    return int(now * 1000) % _DAY_MS
