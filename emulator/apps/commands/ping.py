"""ping of iputils 20221126: echo requests at an interval, what comes back, and the statistics."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

import trio

from emulator.apps.commands.ping_usage import USAGE, VERSION
from emulator.apps.dns_client import reverse
from emulator.apps.environment import Invocation, PingEndpoint, ResolveError
from emulator.apps.options import Options, UsageError, parse
from emulator.errors import WireError
from emulator.kernel.ping import PingReply
from emulator.kernel.socket_error import SocketError
from emulator.packet.address import ipv4_to_int
from emulator.packet.icmp import DESTINATION_UNREACHABLE, TIME_EXCEEDED

_SHORT = "4c:DhI:i:M:nOqs:t:vVw:W:"
_MAXIMUM_SIZE = 65_507
_UDP, _PROBE_PORT = 17, 1025  # the source address is that of a datagram to this port
_LINGER = 10.0  # seconds to wait for the last reply when none has come
_TIMESTAMP = struct.Struct("<qq")  # struct timeval, at the head of the payload

_UNREACHABLE = (
    "Destination Net Unreachable",
    "Destination Host Unreachable",
    "Destination Protocol Unreachable",
    "Destination Port Unreachable",
    "Frag needed and DF set (mtu = {info})",
    "Source Route Failed",
    "Destination Net Unknown",
    "Destination Host Unknown",
    "Source Host Isolated",
    "Destination Net Prohibited",
    "Destination Host Prohibited",
    "Destination Net Unreachable for Type of Service",
    "Destination Host Unreachable for Type of Service",
    "Packet filtered",
    "Precedence Violation",
    "Precedence Cutoff",
)
_EXCEEDED = ("Time to live exceeded", "Frag reassembly time exceeded")


class _ArgumentError(Exception):
    """An option's value that ping refuses."""


@dataclass(frozen=True, slots=True)
class _Settings:
    target: str
    count: int  # 0: no end
    interval: float
    size: int
    ttl: int
    deadline: float  # 0: none
    linger: float
    dont_fragment: bool
    numeric: bool
    quiet: bool
    outstanding: bool
    stamps: bool


async def main(invocation: Invocation) -> int:
    """Run `ping`. Exit status 0 with a reply, 1 without, 2 for errors."""
    try:
        options = parse(invocation.argv[1:], _SHORT)
        if "h" in options:
            raise UsageError("")
    except UsageError as error:
        invocation.write_error((f"ping: {error}\n" if str(error) else "") + USAGE)
        return 2
    if "V" in options:
        invocation.write(VERSION)
        return 0
    try:
        settings = _read(options)
    except _ArgumentError as error:
        invocation.write_error(f"ping: {error}\n")
        return 1
    return await _ping(invocation, settings)


def _read(options: Options) -> _Settings:
    if not options.operands:
        raise _ArgumentError("usage error: Destination address required")
    if options.get("M", "dont") not in {"do", "dont", "want"}:
        raise _ArgumentError(f"invalid -M argument: {options.get('M')}")
    target = options.operands[-1]
    return _Settings(
        target,
        count=_integer(options.get("c"), 0, 1, 2**63 - 1),
        interval=_seconds(options.get("i"), 1.0),
        size=_integer(options.get("s"), 56, 0, _MAXIMUM_SIZE),
        ttl=_integer(options.get("t"), 64, 1, 255),
        deadline=_seconds(options.get("w"), 0.0),
        linger=_seconds(options.get("W"), _LINGER),
        dont_fragment=options.get("M") == "do",
        numeric="n" in options or _is_address(target),
        quiet="q" in options,
        outstanding="O" in options,
        stamps="D" in options,
    )


def _integer(text: str, default: int, lowest: int, highest: int) -> int:
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise _ArgumentError(f"invalid argument: '{text}'") from None
    if not lowest <= value <= highest:
        raise _ArgumentError(f"invalid argument: '{text}': out of range: {lowest} <= value <= {highest}")
    return value


def _seconds(text: str, default: float) -> float:
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise _ArgumentError(f"invalid argument: '{text}'") from None
    if not 0 <= value <= 2_147_483:
        raise _ArgumentError(f"bad timing interval: {text}")
    return value


def _is_address(text: str) -> bool:
    try:
        ipv4_to_int(text)
    except WireError:
        return False
    return True


async def _ping(invocation: Invocation, settings: _Settings) -> int:
    network = invocation.network
    try:
        address = (await network.resolve(settings.target))[0]
        route = network.netns.sockets.route(ipv4_to_int(address), 0, _UDP, (0, _PROBE_PORT))
    except ResolveError as error:
        invocation.write_error(f"ping: {settings.target}: {error.reason}\n")
        return 2
    except OSError as error:
        invocation.write_error(f"ping: connect: {error.strerror}\n")
        return 2
    endpoint = network.open_ping()
    try:
        session = _Session(invocation, settings, endpoint, address, route.mtu)
        await session.run()
    finally:
        endpoint.close()
    return session.summary()


class _Session:
    """One run: what was sent, what came back. Times in microseconds are ints, as in the original's arithmetic."""

    def __init__(
        self, invocation: Invocation, settings: _Settings, endpoint: PingEndpoint, address: str, mtu: int
    ) -> None:
        self._invocation = invocation
        self._settings = settings
        self._endpoint = endpoint
        self._address = address
        self._mtu = mtu
        self._names: dict[str, str] = {}
        self._finished = trio.Event()
        self._sent: dict[int, float] = {}
        self._replied: set[int] = set()
        self._started = self._latest = trio.current_time()
        self._transmitted = self._received = self._repeats = self._errors = 0
        self._pipe = 0
        self._times: list[int] = []

    async def run(self) -> None:
        """Send and receive until there is nothing more to wait for."""
        settings = self._settings
        target = f"PING {settings.target} ({self._address}) {settings.size}({settings.size + 28}) bytes of data.\n"
        self._invocation.write(target)
        self._invocation.on_interrupt(self._finished.set)
        with trio.move_on_after(settings.deadline or float("inf")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive)
                await self._send_all()
                nursery.cancel_scope.cancel()

    async def _send_all(self) -> None:
        settings = self._settings
        while True:
            self._send()
            await self._invocation.drain()
            last = settings.count and self._transmitted >= settings.count and not settings.deadline
            longest = 2 * max(self._times, default=0) / 1e6
            linger = max(longest, settings.interval) if self._received else settings.linger
            with trio.move_on_after(linger if last else settings.interval):
                await self._finished.wait()
            if last or self._finished.is_set():
                return

    def _send(self) -> None:
        if self._settings.outstanding and self._transmitted and self._transmitted not in self._replied:
            self._print(f"no answer yet for icmp_seq={self._transmitted}")
        self._latest = trio.current_time()
        self._transmitted += 1
        sequence = self._transmitted
        self._sent[sequence] = self._latest
        try:
            self._endpoint.send_echo(
                self._address,
                sequence & 0xFFFF,
                self._payload(),
                ttl=self._settings.ttl,
                dont_fragment=self._settings.dont_fragment,
            )
        except OSError as error:  # as the original, it says nothing of other failures once it has begun
            if error.errno == errno.EMSGSIZE:
                self._invocation.write_error(f"ping: local error: message too long, mtu={self._mtu}\n")
                self._errors += 1
                self._look()

    def _payload(self) -> bytes:
        size = self._settings.size
        now = self._invocation.wall_clock()
        stamp = _TIMESTAMP.pack(int(now), int(now % 1 * 1_000_000)) if size >= _TIMESTAMP.size else b""
        return stamp + bytes(index & 0xFF for index in range(len(stamp), size))

    async def _receive(self) -> None:
        while True:
            reply = await self._endpoint.receive()
            now = trio.current_time()
            sequence = self._sequence(reply)
            if sequence is None:
                continue
            self._pipe = max(self._pipe, self._transmitted - sequence + 1)
            if reply.error is not None:
                await self._note_error(reply, reply.error)
            else:
                await self._note_reply(reply, sequence, now)
            self._look()

    def _sequence(self, reply: PingReply) -> int | None:
        """Which of our requests it is about: the latest with these 16 bits."""
        sequence = self._transmitted - ((self._transmitted - reply.sequence) & 0xFFFF)
        return sequence if sequence in self._sent else None

    async def _note_reply(self, reply: PingReply, sequence: int, now: float) -> None:
        microseconds = round((now - self._sent[sequence]) * 1e6)
        self._times.append(microseconds)
        repeated = sequence in self._replied
        self._replied.add(sequence)
        if repeated:
            self._repeats += 1
        else:
            self._received += 1
        if self._settings.quiet:
            return
        line = f"{reply.size} bytes from {await self._name(reply.source)}: icmp_seq={reply.sequence} ttl={reply.ttl}"
        if self._settings.size >= _TIMESTAMP.size:
            line += f" time={_duration(microseconds)} ms"
        self._print(line + (" (DUP!)" if repeated else ""))

    async def _note_error(self, reply: PingReply, error: SocketError) -> None:
        self._errors += 1
        if not self._settings.quiet:
            text = describe(error)
            self._print(f"From {await self._name(reply.source)} icmp_seq={reply.sequence} {text}")

    async def _name(self, address: str) -> str:
        if self._settings.numeric:
            return address
        if address not in self._names:
            self._names[address] = await reverse(self._invocation.network, address)
        name = self._names[address]
        return f"{name} ({address})" if name else address

    def _print(self, line: str) -> None:
        stamp = f"[{self._invocation.wall_clock():.6f}] " if self._settings.stamps else ""
        self._invocation.write(f"{stamp}{line}\n")

    def _look(self) -> None:
        """Finish when all that was asked for has come."""
        settings = self._settings
        if settings.count and self._received + self._errors >= settings.count:
            self._finished.set()
        if settings.deadline and self._errors:
            self._finished.set()

    def summary(self) -> int:
        """Print the statistics; return the exit status."""
        write: Callable[[str], None] = self._invocation.write
        loss = (self._transmitted - self._received) * 100 / self._transmitted
        words = [f"{self._transmitted} packets transmitted", f"{self._received} received"]
        if self._repeats:
            words.append(f"+{self._repeats} duplicates")
        if self._errors:
            words.append(f"+{self._errors} errors")
        elapsed = round((self._latest - self._started) * 1000)
        words += [f"{loss:g}% packet loss", f"time {elapsed}ms"]
        write(f"\n--- {self._settings.target} ping statistics ---\n{', '.join(words)}\n")
        parts = []
        if self._received and self._settings.size >= _TIMESTAMP.size:
            parts.append(f"rtt min/avg/max/mdev = {_statistics(self._times)} ms")
        if self._pipe > 1:
            parts.append(f"pipe {self._pipe}")
        write(", ".join(parts) + "\n")
        short = bool(self._settings.deadline) and self._received < self._settings.count
        return int(not self._received or short)


def describe(error: SocketError) -> str:
    """Return the words that ping prints for an ICMP error."""
    if error.type == DESTINATION_UNREACHABLE:
        known = error.code < len(_UNREACHABLE)
        return (
            _UNREACHABLE[error.code].format(info=error.info) if known else f"Dest Unreachable, Bad Code: {error.code}"
        )
    if error.type == TIME_EXCEEDED:
        known = error.code < len(_EXCEEDED)
        return _EXCEEDED[error.code] if known else f"Time exceeded, Bad Code: {error.code}"
    return f"Parameter problem: pointer = {error.info}"


def _duration(microseconds: int) -> str:
    """Milliseconds with three significant decimals, fewer for long times."""
    if microseconds >= 100_000 - 50:
        return str((microseconds + 500) // 1000)
    if microseconds >= 10_000 - 5:
        rounded = microseconds + 50
        return f"{rounded // 1000}.{rounded % 1000 // 100}"
    if microseconds >= 1000:
        rounded = microseconds + 5
        return f"{rounded // 1000}.{rounded % 1000 // 10:02d}"
    return f"0.{microseconds:03d}"


def _statistics(times: list[int]) -> str:
    total, squares = sum(times), sum(time * time for time in times)
    deviation = isqrt(max(0, (squares - total * total // len(times)) // len(times)))
    values = (min(times), total // len(times), max(times), deviation)
    return "/".join(f"{value // 1000}.{value % 1000:03d}" for value in values)
