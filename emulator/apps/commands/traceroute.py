"""traceroute 2.1.2 with UDP or ICMP echo probes: who answers for each hop on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio
from msgspec import Struct, field

from emulator.apps.dns.client import reverse
from emulator.apps.environment import Address, Invocation, PingEndpoint, ResolveError, UdpEndpoint
from emulator.apps.options import UsageError, number, parse
from emulator.kernel.socket.error import SocketError
from emulator.packet.icmp import DESTINATION_UNREACHABLE

_SHORT = "4FInUVf:m:N:p:q:s:Tw:"
_LONG = (
    "first=",
    "icmp",
    "max-hops=",
    "port=",
    "queries=",
    "sim-queries=",
    "source=",
    "tcp",
    "udp",
    "version",
    "wait=",
)
_ALIASES = {
    "first": "f",
    "icmp": "I",
    "max-hops": "m",
    "port": "p",
    "queries": "q",
    "sim-queries": "N",
    "source": "s",
    "tcp": "T",
    "udp": "U",
    "version": "V",
    "wait": "w",
}
_HEADERS = 28
_PORT_UNREACHABLE = 3
_VERSION = """Modern traceroute for Linux, version 2.1.2
Copyright (c) 2016  Dmitry Butskoy,   License: GPL v2 or any later
"""
_MARKS = {0: " !N", 1: " !H", 2: " !P", 3: "", 4: " !F-{info}", 5: " !S", 9: " !X", 10: " !X", 13: " !X"}


class _Settings(Struct, frozen=True):
    target: str
    size: int
    first: int
    last: int
    queries: int
    at_once: int
    port: int
    wait: float
    numeric: bool
    icmp: bool
    source: str
    dont_fragment: bool


class _Probe(Struct):
    ttl: int
    mark: int  # what its answer is known by: a UDP port, or an echo request's sequence number
    sent: float = 0.0
    came: float = 0.0
    error: SocketError | None = None
    done: trio.Event = field(default_factory=trio.Event)


async def main(invocation: Invocation) -> int:
    """Run `traceroute`. Exit status 0, 1 for what the kernel refuses, 2 for what it cannot use."""
    try:
        settings = _read(invocation)
        if settings is None:
            invocation.write(_VERSION)
            return 0
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
    network = invocation.network
    try:
        prober: _Prober
        if settings.icmp:
            prober = _Echoes(network.open_ping(source=settings.source), settings, address)
        else:
            prober = _Datagrams(network.open_udp(address=settings.source or "0.0.0.0"), settings, address)
    except OSError as error:
        invocation.write_error(f"bind: {error.strerror}\n")
        return 1
    try:
        await _Trace(invocation, settings, prober).run()
    except OSError as error:
        invocation.write_error(f"send: {error.strerror}\n")
        return 1
    finally:
        prober.close()
    return 0


def _read(invocation: Invocation) -> _Settings | None:
    """Read what is asked for; None for the version."""
    words = invocation.argv[1:]
    try:
        options = parse(words, _SHORT, _LONG, aliases=_ALIASES)
    except UsageError as error:
        bad = str(error).rpartition("'")[0].rpartition("'")[2]
        raise UsageError(f"Bad option `{bad if bad.startswith('-') else f'-{bad}'}' (argc 1)") from None
    if "V" in options:
        return None
    if "T" in options:
        raise UsageError("-T is not there: a pod's programs have no raw sockets here; -I and -U are")
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
            icmp="I" in options,
            source=options.get("s"),
            dont_fragment="F" in options,
        )
    except ValueError as error:
        raise UsageError(f"Cannot handle a command line argument: {error}") from None


Answer = Callable[[int, SocketError], None]


class _Prober(Protocol):
    async def send(self, probe: _Probe) -> None:
        """Send one probe."""

    async def listen(self, answer: Answer) -> None:
        """Tell of each answer, by the mark of its probe, until cancelled."""

    def close(self) -> None:
        """End the socket."""


def _arrived(source: Address) -> SocketError:
    """The destination itself answered, which is as good as "port unreachable" from it."""
    return SocketError(0, DESTINATION_UNREACHABLE, _PORT_UNREACHABLE, 0, source[0], source)


class _Datagrams:
    """UDP to ports that nobody should listen on."""

    def __init__(self, endpoint: UdpEndpoint, settings: _Settings, address: str) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._address = address

    async def send(self, probe: _Probe) -> None:
        payload = bytes(0x40 + index % 64 for index in range(self._settings.size - _HEADERS))
        whole = self._settings.dont_fragment
        await self._endpoint.send_to(payload, (self._address, probe.mark), ttl=probe.ttl, dont_fragment=whole)

    async def listen(self, answer: Answer) -> None:
        errors = self._endpoint.socket.errors
        while True:
            await self._endpoint.wait_readable()
            while errors:
                error = errors.popleft()
                answer(error.destination[1], error)
            if self._endpoint.socket.readable:
                source = (await self._endpoint.receive()).source
                answer(source[1], _arrived(source))

    def close(self) -> None:
        self._endpoint.close()


class _Echoes:
    """ICMP echo requests."""

    def __init__(self, endpoint: PingEndpoint, settings: _Settings, address: str) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._address = address

    async def send(self, probe: _Probe) -> None:
        payload = bytes(0x40 + index % 64 for index in range(self._settings.size - _HEADERS))
        whole = self._settings.dont_fragment
        self._endpoint.send_echo(self._address, probe.mark, payload, ttl=probe.ttl, dont_fragment=whole)
        await trio.lowlevel.checkpoint()

    async def listen(self, answer: Answer) -> None:
        while True:
            reply = await self._endpoint.receive()
            answer(reply.sequence, reply.error or _arrived((reply.source, 0)))

    def close(self) -> None:
        self._endpoint.close()


class _Trace:
    """Probes of growing TTL, some at once; hops are printed in order as they become known."""

    def __init__(self, invocation: Invocation, settings: _Settings, prober: _Prober) -> None:
        self._invocation = invocation
        self._settings = settings
        self._prober = prober
        self._probes: dict[int, _Probe] = {}
        self._free = trio.Semaphore(settings.at_once)

    async def run(self) -> None:
        """Send and print until the destination answered, or the last hop was tried."""
        settings = self._settings
        hops = range(settings.first, settings.last + 1)
        count = settings.queries
        first = 1 if settings.icmp else settings.port
        plan = {
            ttl: [_Probe(ttl, (first + index * count + turn) & 0xFFFF) for turn in range(count)]
            for index, ttl in enumerate(hops)
        }
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._prober.listen, self._answer)
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
            self._probes[probe.mark] = probe
            await self._prober.send(probe)
            nursery.start_soon(self._expire, probe)

    async def _expire(self, probe: _Probe) -> None:
        with trio.move_on_after(self._settings.wait):
            await probe.done.wait()
        probe.done.set()
        self._free.release()

    def _answer(self, mark: int, error: SocketError) -> None:
        probe = self._probes.get(mark)
        if probe is not None and not probe.done.is_set():
            probe.error, probe.came = error, trio.current_time()
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


def _is_end(error: SocketError) -> bool:
    return error.type == DESTINATION_UNREACHABLE


def _mark(error: SocketError) -> str:
    if error.type != DESTINATION_UNREACHABLE:
        return ""
    return _MARKS.get(error.code, f" !<{error.code}>").format(info=error.info)
