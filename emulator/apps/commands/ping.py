"""ping of iputils 20221126: echo requests at an interval, what comes back, and the statistics."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from math import isqrt
from typing import TYPE_CHECKING

import trio

from emulator.apps.commands.iputils import ArgumentError
from emulator.apps.commands.ping_options import SHORT, Settings, is_address, read
from emulator.apps.commands.ping_usage import USAGE, VERSION
from emulator.apps.dns.client import reverse
from emulator.apps.environment import Invocation, PingEndpoint, ResolveError
from emulator.apps.options import UsageError, parse
from emulator.kernel.routing.route import RTN_BROADCAST
from emulator.kernel.socket.error import SocketError
from emulator.kernel.socket.ping import PingReply
from emulator.packet.address import format_ipv4, ipv4_to_int
from emulator.packet.icmp import DESTINATION_UNREACHABLE, TIME_EXCEEDED

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

_UDP, _PROBE_PORT = 17, 1025  # the source address is that of a datagram to this port
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


async def main(invocation: Invocation) -> int:
    """Run `ping`. Exit status 0 with a reply, 1 without, 2 for errors."""
    try:
        options = parse(invocation.argv[1:], SHORT)
        if "h" in options:
            raise UsageError("")
    except UsageError as error:
        invocation.write_error((f"ping: {error}\n" if str(error) else "") + USAGE)
        return 2
    if "V" in options:
        invocation.write(VERSION)
        return 0
    try:
        settings = read(options)
    except ArgumentError as error:
        invocation.write_error(f"ping: {error}\n")
        return 1
    return await _ping(invocation, settings)


async def _ping(invocation: Invocation, settings: Settings) -> int:
    network = invocation.network
    try:
        address = (await network.resolve(settings.target))[0]
        source, device = _source(network.netns, settings.interface)
        endpoint = network.open_ping(source=source)
    except ArgumentError as error:
        invocation.write_error(f"ping: {error}\n")
        return 2
    except ResolveError as error:
        invocation.write_error(f"ping: {settings.target}: {error.reason}\n")
        return 2
    except OSError as error:
        invocation.write_error(f"ping: bind: {error.strerror}\n")
        return 2
    try:
        origin = _begin(invocation, settings, address, source, device)
        session = _Session(invocation, settings, endpoint, address, origin)
        await session.run()
    except ArgumentError as error:
        invocation.write_error(f"ping: {error}\n")
        return 2
    finally:
        endpoint.close()
    return session.summary()


def _begin(invocation: Invocation, settings: Settings, address: str, source: str, device: str) -> str:
    """Look for a way to the target; return what the first line says of where the requests come from."""
    saddr = ipv4_to_int(source) if source else 0
    try:
        route = invocation.network.netns.sockets.route(ipv4_to_int(address), saddr, _UDP, (0, _PROBE_PORT))
    except OSError as error:
        raise ArgumentError(f"connect: {error.strerror}") from None
    broadcast = route.type is RTN_BROADCAST
    if broadcast and not settings.broadcast:
        raise ArgumentError("Do you want to ping broadcast? Then -b. If not, check your local firewall rules")
    if device and route.link.name not in {device, "lo"}:
        way = f"the route to {address} is through {route.link.name}"
        raise ArgumentError(f"SO_BINDTODEVICE {device}: not here: {way}")
    if settings.pattern:
        invocation.write(f"PATTERN: 0x{settings.pattern.hex()}\n")
    if broadcast:
        invocation.write_error("WARNING: pinging broadcast address\n")
    return f" from {source or format_ipv4(route.source)} {device}:" if settings.interface else ""


def _source(netns: Netns, interface: str) -> tuple[str, str]:
    """Return the address and the interface that `-I` names, each "" where it is left open."""
    if not interface:
        return "", ""
    if is_address(interface):
        return interface, ""
    link = netns.links.get(interface)
    if link is None:
        raise ArgumentError(f"SO_BINDTODEVICE {interface}: No such device")
    return (format_ipv4(link.addresses.first.address) if link.addresses else ""), interface


class _Session:
    """One run: what was sent, what came back. Times in microseconds are ints, as in the original's arithmetic."""

    def __init__(
        self, invocation: Invocation, settings: Settings, endpoint: PingEndpoint, address: str, origin: str
    ) -> None:
        self._origin = origin
        self._invocation = invocation
        self._settings = settings
        self._endpoint = endpoint
        self._address = address
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
        size = f"{settings.size}({settings.size + 28}) bytes of data."
        target = f"PING {settings.target} ({self._address}){self._origin} {size}\n"
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
        if self._settings.flood and not self._settings.quiet:
            self._invocation.write(".")
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
                self._invocation.write_error(f"ping: local error: message too long, mtu={self._path_mtu()}\n")
                self._errors += 1
                self._look()

    def _path_mtu(self) -> int:
        """What the way takes as far as it is known now: an ICMP error may have told."""
        return self._invocation.network.netns.sockets.route(ipv4_to_int(self._address), 0, _UDP, (0, _PROBE_PORT)).mtu

    def _payload(self) -> bytes:
        size = self._settings.size
        now = self._invocation.wall_clock()
        stamp = _TIMESTAMP.pack(int(now), int(now % 1 * 1_000_000)) if size >= _TIMESTAMP.size else b""
        pattern = self._settings.pattern
        if pattern:
            padding = (pattern * (size // len(pattern) + 1))[: size - len(stamp)]
            return stamp + padding
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
        if self._settings.flood and not self._settings.quiet:
            self._invocation.write("\b \b")
        if self._settings.quiet or self._settings.flood:
            return
        line = f"{reply.size} bytes from {await self._name(reply.source)}: icmp_seq={reply.sequence} ttl={reply.ttl}"
        if self._settings.size >= _TIMESTAMP.size:
            line += f" time={_duration(microseconds)} ms"
        self._print(line + (" (DUP!)" if repeated else ""))

    async def _note_error(self, reply: PingReply, error: SocketError) -> None:
        self._errors += 1
        if self._settings.flood and not self._settings.quiet:
            self._invocation.write("\bE")
        elif not self._settings.quiet:
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
