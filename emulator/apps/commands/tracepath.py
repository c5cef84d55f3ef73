"""tracepath of iputils 20221126: the hops to a destination, and where the path's MTU gets smaller.

It sends UDP datagrams as large as the path is known to take, with DF set and a growing TTL, and reads the error queue.
"""

from __future__ import annotations

import errno

import trio
from msgspec import Struct

from emulator.apps.commands.iputils import ArgumentError, integer
from emulator.apps.commands.ping_usage import LIBRARIES
from emulator.apps.dns.client import reverse
from emulator.apps.environment import Invocation, ResolveError, UdpEndpoint
from emulator.apps.options import Options, UsageError, parse
from emulator.kernel.socket.error import SocketError
from emulator.packet.address import ipv4_to_int
from emulator.packet.icmp import TIME_EXCEEDED

USAGE = """
Usage
  tracepath [options] <destination>

Options:
  -4             use IPv4
  -6             use IPv6
  -b             print both name and ip
  -l <length>    use packet <length>
  -m <hops>      use maximum <hops>
  -n             no dns name resolution
  -p <port>      use destination <port>
  -V             print version and exit
  <destination>  dns name or ip address

For more details see tracepath(8).
"""
VERSION = f"tracepath from iputils 20221126\n{LIBRARIES}"
_USAGE_STATUS = 255
_OVERHEAD = 28  # of IPv4 and UDP
_LARGEST = 65_535
_PORT = 44_444
_PROBES = 64  # whose fate is kept in mind
_TRIES = 3
_WAIT = 1.0  # seconds for an answer to one probe
_UDP = 17
_WORDS = {errno.EPROTO: "!P", errno.EHOSTUNREACH: "!H", errno.ENETUNREACH: "!N", errno.EACCES: "!A"}


class _Settings(Struct, frozen=True):
    target: str
    length: int
    last: int
    port: int
    numeric: bool
    both: bool


async def main(invocation: Invocation) -> int:
    """Run `tracepath`. Exit status 0, 1 for what cannot be, 255 for usage."""
    try:
        options = parse(invocation.argv[1:], "4bhl:m:np:V")
        if "V" in options:
            invocation.write(VERSION)
            return 0
        if "h" in options or not options.operands:
            raise UsageError("")
        settings = _read(options)
    except UsageError as error:
        invocation.write_error((f"tracepath: {error}\n" if str(error) else "") + USAGE)
        return _USAGE_STATUS
    except ArgumentError as error:
        invocation.write_error(f"tracepath: {error}\n")
        return 1
    try:
        address = (await invocation.network.resolve(settings.target))[0]
    except ResolveError as error:
        invocation.write_error(f"tracepath: {settings.target}: {error.reason}\n")
        return 1
    endpoint = invocation.network.open_udp()
    try:
        await _Path(invocation, settings, endpoint, address).run()
    finally:
        endpoint.close()
    return 0


def _read(options: Options) -> _Settings:
    target, slash, port = options.operands[0].partition("/")
    return _Settings(
        target,
        length=integer(options.get("l"), _LARGEST, _OVERHEAD, 0x7FFFFFFF),
        last=integer(options.get("m"), 30, 1, 255),
        port=integer(options.get("p") or (port if slash else ""), _PORT, 0, _LARGEST),
        numeric="n" in options,
        both="b" in options,
    )


class _Probe(Struct, frozen=True):
    ttl: int
    sent: float


class _Path:
    """One run. `_mtu` is as much as the path is thought to take so far."""

    def __init__(self, invocation: Invocation, settings: _Settings, endpoint: UdpEndpoint, address: str) -> None:
        self._invocation = invocation
        self._settings = settings
        self._endpoint = endpoint
        self._address = address
        self._mtu = min(settings.length, _LARGEST)
        self._number = 0
        self._probes: dict[int, _Probe] = {}  # by destination port
        self._there = self._back = -1

    async def run(self) -> None:
        """Go from hop to hop, and print the summary."""
        write = self._invocation.write
        for ttl in range(1, self._settings.last + 1):
            if await self._hop(ttl):
                break
        else:
            write(f"     Too many hops: pmtu {self._mtu}\n")
        there = f"hops {self._there} " if self._there >= 0 else ""
        back = f"back {self._back} " if self._back >= 0 else ""
        write(f"     Resume: pmtu {self._mtu} {there}{back}\n")

    async def _hop(self, ttl: int) -> bool:
        """Probe one hop, anew when the MTU got smaller; whether that was the last one."""
        tries = 0
        while tries < _TRIES:
            before = self._mtu
            went_on = await self._probe(ttl)
            if self._mtu != before:
                tries = 0
            elif went_on is None:
                tries += 1
            else:
                return not went_on
        self._invocation.write(f"{ttl:2d}:  no reply\n")
        return False

    async def _probe(self, ttl: int) -> bool | None:
        """Send a datagram and see what comes of it: True to go on, False at the end, None if nothing came."""
        while True:
            port = self._settings.port + self._number
            self._probes[port] = _Probe(ttl, trio.current_time())
            payload = bytes(max(0, self._mtu - _OVERHEAD))
            try:
                await self._endpoint.send_to(payload, (self._address, port), ttl=ttl, dont_fragment=True)
            except OSError as error:
                del self._probes[port]
                if error.errno != errno.EMSGSIZE:
                    self._invocation.write(f"{ttl:2d}:  send failed\n")
                    return False
                self._shrink(ttl)
                continue
            self._number = (self._number + 1) % _PROBES
            with trio.move_on_after(_WAIT):
                await self._endpoint.wait_readable()
            if self._endpoint.socket.readable:
                await self._endpoint.receive()
                self._invocation.write(f"{ttl:2d}?: reply received 8)\n")
                return False
            return await self._read_errors(ttl)

    def _shrink(self, ttl: int) -> None:
        """Learn of the route's MTU, as the local error in the queue tells it."""
        route = self._invocation.network.netns.sockets.route(
            ipv4_to_int(self._address), 0, _UDP, (0, self._settings.port)
        )
        self._mtu = route.mtu
        self._invocation.write(f"{ttl:2d}?: {'[LOCALHOST]':<32s} pmtu {self._mtu}\n")

    async def _read_errors(self, ttl: int) -> bool | None:
        errors = self._endpoint.socket.errors
        went_on: bool | None = None
        while errors:
            if not await self._report(errors.popleft(), ttl):
                return False
            went_on = True
        return went_on

    async def _report(self, error: SocketError, ttl: int) -> bool:
        """Print an ICMP error; whether to go on."""
        probe = self._probes.pop(error.destination[1], None)
        head = f"{probe.ttl:2d}:  " if probe is not None else f"{ttl:2d}?: "
        line = f"{head}{await self._name(error.offender):<51s} "
        if probe is not None:
            microseconds = round((trio.current_time() - probe.sent) * 1e6)
            line += f"{microseconds // 1000:3d}.{microseconds % 1000:03d}ms "
        back = _hops_back(error.ttl)
        expired = error.errno == errno.EHOSTUNREACH and error.type == TIME_EXCEEDED
        if error.errno == errno.EMSGSIZE:
            self._mtu = error.info
            line += f"pmtu {error.info}"
        elif error.errno == errno.ECONNREFUSED:
            self._there, self._back = (ttl if probe is None else probe.ttl), back
            line += "reached"
        elif expired and back != (ttl if probe is None else probe.ttl):
            line += f"asymm {back:2d} "
        elif not expired:
            line += _WORDS.get(error.errno, "")
        self._invocation.write(line + "\n")
        return expired or error.errno == errno.EMSGSIZE

    async def _name(self, address: str) -> str:
        if self._settings.numeric:
            return address
        name = await reverse(self._invocation.network, address) or "???"
        return f"{name} ({address})" if self._settings.both else name


def _hops_back(ttl: int) -> int:
    """How many hops an answer came, by the TTL it has left: senders begin with 64, 128 or 255."""
    if ttl <= 64:
        return 65 - ttl
    return 129 - ttl if ttl <= 128 else 256 - ttl
