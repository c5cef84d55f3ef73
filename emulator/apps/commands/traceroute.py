"""traceroute 2.1.2 with UDP probes: who answers for each hop on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from emulator.apps.dns.client import reverse
from emulator.apps.environment import Invocation, ResolveError, UdpEndpoint
from emulator.apps.options import UsageError, number, parse
from emulator.kernel.socket_error import SocketError
from emulator.packet.icmp import DESTINATION_UNREACHABLE

_SHORT = "4Fnf:m:N:p:q:w:"
_LONG = ("first=", "max-hops=", "sim-queries=", "port=", "queries=", "wait=")
_ALIASES = {"first": "f", "max-hops": "m", "sim-queries": "N", "port": "p", "queries": "q", "wait": "w"}
_HEADERS = 28
_PORT_UNREACHABLE = 3
_MARKS = {0: " !N", 1: " !H", 2: " !P", 3: "", 4: " !F", 5: " !S", 9: " !X", 10: " !X", 13: " !X"}


@dataclass(frozen=True, slots=True)
class _Settings:
    target: str
    size: int
    first: int
    last: int
    queries: int
    at_once: int
    port: int
    wait: float
    numeric: bool


@dataclass(slots=True)
class _Probe:
    ttl: int
    port: int
    sent: float = 0.0
    came: float = 0.0
    error: SocketError | None = None
    done: trio.Event = field(default_factory=trio.Event)


async def main(invocation: Invocation) -> int:
    """Run `traceroute`. Exit status 0, 1 for what the kernel refuses, 2 for what it cannot use."""
    try:
        settings = _read(invocation)
    except UsageError as error:
        invocation.write_error(f"{error}\n")
        return 2
    try:
        address = (await invocation.network.resolve(settings.target))[0]
    except ResolveError as error:
        hint = f'Cannot handle "host" cmdline arg `{settings.target}\' on position 1 (argc {len(invocation.argv) - 1})'
        invocation.write_error(f"{settings.target}: {error.reason}\n{hint}\n")
        return 2
    title = f"traceroute to {settings.target} ({address}), {settings.last} hops max, {settings.size} byte packets\n"
    invocation.write(title)
    endpoint = invocation.network.open_udp()
    try:
        await _Trace(invocation, settings, endpoint, address).run()
    except OSError as error:
        invocation.write_error(f"send: {error.strerror}\n")
        return 1
    finally:
        endpoint.close()
    return 0


def _read(invocation: Invocation) -> _Settings:
    words = invocation.argv[1:]
    try:
        options = parse(words, _SHORT, _LONG, aliases=_ALIASES)
    except UsageError as error:
        bad = str(error).rpartition("'")[0].rpartition("'")[2]
        raise UsageError(f"Bad option `{bad if bad.startswith('-') else f'-{bad}'}' (argc 1)") from None
    if not options.operands:
        raise UsageError('Specify "host" missing argument.')
    try:
        first = int(number(options.get("f", "1"), lowest=1, highest=255))
        return _Settings(
            target=options.operands[0],
            size=int(number(options.operands[1], lowest=_HEADERS, highest=65_000)) if len(options.operands) > 1 else 60,
            first=first,
            last=int(number(options.get("m", "30"), lowest=first, highest=255)),
            queries=int(number(options.get("q", "3"), lowest=1, highest=10)),
            at_once=int(number(options.get("N", "16"), lowest=1, highest=64)),
            port=int(number(options.get("p", "33434"), lowest=1, highest=65_535)),
            wait=number(options.get("w", "5").partition(",")[0], lowest=0.001),
            numeric="n" in options,
        )
    except ValueError as error:
        raise UsageError(f"Cannot handle a command line argument: {error}") from None


class _Trace:
    """Probes of growing TTL, some at once; hops are printed in order as they become known."""

    def __init__(self, invocation: Invocation, settings: _Settings, endpoint: UdpEndpoint, address: str) -> None:
        self._invocation = invocation
        self._settings = settings
        self._endpoint = endpoint
        self._address = address
        self._probes: dict[int, _Probe] = {}
        self._free = trio.Semaphore(settings.at_once)

    async def run(self) -> None:
        """Send and print until the destination answered, or the last hop was tried."""
        settings = self._settings
        hops = range(settings.first, settings.last + 1)
        count = settings.queries
        plan = {
            ttl: [_Probe(ttl, (settings.port + index * count + turn) & 0xFFFF) for turn in range(count)]
            for index, ttl in enumerate(hops)
        }
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            nursery.start_soon(self._send_all, [probe for probes in plan.values() for probe in probes], nursery)
            for ttl, probes in plan.items():
                for probe in probes:
                    await probe.done.wait()
                self._invocation.write(f"{ttl:2d}  {await self._line(probes)}\n")
                if any(probe.error is not None and _is_end(probe.error) for probe in probes):
                    break
            nursery.cancel_scope.cancel()

    async def _send_all(self, probes: list[_Probe], nursery: trio.Nursery) -> None:
        for probe in probes:
            await self._free.acquire()
            probe.sent = trio.current_time()
            self._probes[probe.port] = probe
            payload = bytes(0x40 + index % 64 for index in range(self._settings.size - _HEADERS))
            await self._endpoint.send_to(payload, (self._address, probe.port), ttl=probe.ttl)
            nursery.start_soon(self._expire, probe)

    async def _expire(self, probe: _Probe) -> None:
        with trio.move_on_after(self._settings.wait):
            await probe.done.wait()
        probe.done.set()
        self._free.release()

    async def _listen(self) -> None:
        errors = self._endpoint.socket.errors
        while True:
            await self._endpoint.wait_readable()
            while errors:
                error = errors.popleft()
                probe = self._probes.get(error.destination[1])
                if probe is not None and not probe.done.is_set():
                    probe.error, probe.came = error, trio.current_time()
                    probe.done.set()
            if self._endpoint.socket.readable:  # some service answered a probe: as good as its port being closed
                datagram = await self._endpoint.receive()
                probe = self._probes.get(datagram.source[1])
                if probe is not None and not probe.done.is_set():
                    probe.came = trio.current_time()
                    probe.error = SocketError(0, DESTINATION_UNREACHABLE, _PORT_UNREACHABLE, 0, *_ends(datagram.source))
                    probe.done.set()

    async def _line(self, probes: list[_Probe]) -> str:
        parts: list[str] = []
        before = ""
        for probe in probes:
            if probe.error is None:
                parts.append("*" if not parts else " *")
                continue
            offender = probe.error.offender
            if offender != before:
                parts.append(("" if not parts else " ") + await self._name(offender))
                before = offender
            parts.append(f"  {(probe.came - probe.sent) * 1000:.3f} ms{_mark(probe.error)}")
        return "".join(parts)

    async def _name(self, address: str) -> str:
        if self._settings.numeric:
            return address
        return f"{await reverse(self._invocation.network, address) or address} ({address})"


def _ends(address: tuple[str, int]) -> tuple[str, tuple[str, int]]:
    return address[0], address


def _is_end(error: SocketError) -> bool:
    return error.type == DESTINATION_UNREACHABLE


def _mark(error: SocketError) -> str:
    if error.type != DESTINATION_UNREACHABLE:
        return ""
    return _MARKS.get(error.code, f" !<{error.code}>")
