"""An `ipvsadm` command line as a value: what to do with which service and which real server (ipvsadm.c)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.errors import WireError
from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP, UDP
from emulator.kernel.netfilter.ipvs.error import USAGE, IpvsError
from emulator.kernel.netfilter.ipvs.options import TRY_HELP, check, note, read
from emulator.kernel.netfilter.ipvs.service import (
    ALL_ONES,
    Forwarding,
    ServerOptions,
    ServiceKey,
    ServiceOptions,
)
from emulator.kernel.netfilter.service_names import service_port
from emulator.packet.address import ipv4_to_int

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_PERSISTENCE = 300
MOST_SECONDS = 86_400 * 31
_MOST_INT = 2**31 - 1
_PROTOCOLS = {"tcp-service": TCP, "udp-service": UDP, "sctp-service": SCTP}
_PROTOCOL_WORDS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_METHODS = {"masquerading": Forwarding.MASQUERADE, "ipip": Forwarding.TUNNEL, "gatewaying": Forwarding.ROUTE}
_FLAGS = {"flag-1": 1, "flag-2": 2, "flag-3": 4}
_SCHEDULER_FLAGS = {"fallback": 1, "port": 2}  # after "sh-" or "mh-", for that scheduler


class Command(Struct, frozen=True, kw_only=True):
    """One command line. `said` has what else was said, by the long names of options (numeric, stats, …).

    `server`: address and port. `timeouts`: of `--set`, 0 keeps one.
    """

    name: str
    key: ServiceKey | None = None
    service: ServiceOptions = ServiceOptions()
    server: tuple[int, int] = (0, 0)
    server_options: ServerOptions = ServerOptions()
    said: frozenset[str] = frozenset()
    timeouts: tuple[int, int, int] = (0, 0, 0)


class _Reading:
    """What was read so far; options may depend on those before them."""

    def __init__(self) -> None:
        self.said: set[str] = set()
        self.protocol = 0
        self.address = self.port = self.fwmark = 0
        self.scheduler = ""
        self.persistent = 0
        self.netmask = ALL_ONES
        self.flags = ""
        self.engine = ""
        self.server = (0, 0)
        self.forwarding = Forwarding.ROUTE
        self.weight = 1
        self.thresholds = {"u-threshold": 0, "l-threshold": 0}

    def take(self, name: str, value: str) -> None:
        """Take one option."""
        note(self.said, name)
        if name in _PROTOCOLS:
            self.protocol = _PROTOCOLS[name]
            self.address, self.port, _ = _address(value, self.protocol, "virtual server")
        elif name == "fwmark-service":
            self.fwmark = _fwmark(value)
        elif name == "scheduler":
            self.scheduler = value[:15]
        elif name == "netmask":
            self.netmask = _netmask(value)
        elif name == "real-server":
            address, port, has_port = _address(value, self.protocol, "real server")
            self.server = (address, port if has_port else self.port)
        elif name in _METHODS:
            self.forwarding = _METHODS[name]
        elif name == "weight":
            self.weight = _number(value, 65_535, "weight")
        elif name in self.thresholds:
            self.thresholds[name] = _number(value, _MOST_INT, name.replace("-", "_"))
        elif name == "sched-flags":
            self.flags = value
        elif name == "pe":
            self.engine = value
        elif name == "ipv6":
            raise IpvsError("IPv6 is not emulated", USAGE)
        elif name == "tun-type" and value != "ipip":
            known = value in ("gue", "gre")
            raise IpvsError(f"tunnel type {value} is not emulated" if known else "illegal tunnel type specified", USAGE)

    def command(self, name: str, rest: list[str]) -> Command:
        """Check what was read as a whole (`process_options`)."""
        timeouts = _timeouts(rest) if name == "set" else (0, 0, 0)
        if rest[3 if name == "set" else 0 :]:
            raise IpvsError(f"unexpected argument {rest[3 if name == 'set' else 0]}", USAGE)
        flags = _scheduler_flags(self.scheduler or "wlc", self.flags)
        check(name, self.said)
        if name in ("add-service", "edit-service"):
            self._check_service()
        elif name in ("add-server", "edit-server"):
            if self.forwarding is not Forwarding.MASQUERADE and not self.fwmark:
                self.server = (self.server[0], self.port)  # packets are handed over as they are
            if self.forwarding is not Forwarding.TUNNEL and any(each.startswith("tun-") for each in self.said):
                raise IpvsError("Tunnel options conflict with forward method", USAGE)
        key = None
        if "service-address" in self.said:
            mark = self.fwmark
            key = ServiceKey(0, 0, 0, mark) if mark else ServiceKey(self.protocol, self.address, self.port)
        return Command(
            name=name,
            key=key,
            service=ServiceOptions(
                scheduler=self.scheduler or "wlc",
                persistent=self.persistent,
                netmask=self.netmask,
                one_packet="ops" in self.said,
                scheduler_flags=flags,
            ),
            server=self.server,
            server_options=ServerOptions(
                weight=self.weight,
                forwarding=self.forwarding,
                upper_threshold=self.thresholds["u-threshold"],
                lower_threshold=self.thresholds["l-threshold"],
            ),
            said=frozenset(self.said),
            timeouts=timeouts,
        )

    def _check_service(self) -> None:
        if self.engine:
            from emulator.kernel.netfilter.ipvs.error import NO_SCHEDULER

            raise IpvsError(NO_SCHEDULER)
        if self.fwmark:
            return
        if not self.port and not self.persistent:
            raise IpvsError("Zero port specified for non-persistent service", USAGE)
        if "ops" in self.said and self.protocol != UDP:
            raise IpvsError("One-Packet Scheduling is only for UDP virtual services", USAGE)


def parse(words: Iterable[str]) -> Command:
    """Read the words after `ipvsadm`. IpvsError says what is wrong, in ipvsadm's words where it has some."""
    reading, name, rest = _Reading(), "", []
    for option, value in read(list(words)):
        if not option:
            rest.append(value or "")
        elif not name:
            name = option
            if name in ("start-daemon", "stop-daemon"):
                raise IpvsError("there is no other director here to synchronize connections with")
        elif option == "persistent":
            note(reading.said, option)
            reading.persistent = DEFAULT_PERSISTENCE if value is None else _seconds(value, 1)
        else:
            reading.take(option, value or "")
    if not name:
        raise IpvsError(TRY_HELP)
    return reading.command(name, rest)


@functools.lru_cache(maxsize=64)  # a service's address is said again with each of its real servers
def _address(text: str, protocol: int, what: str) -> tuple[int, int, bool]:
    """Read `address[:port]` (`parse_service`), and whether there was a port. Names of hosts are not resolved here."""
    if text.startswith("["):
        raise IpvsError(f"{text}: IPv6 is not emulated", USAGE)
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    try:
        address = ipv4_to_int(host)
        number = 0
        if colon:
            known = int(port) if port.isdecimal() else service_port(port, _PROTOCOL_WORDS.get(protocol, "tcp"))
            if known is None or known > 65_535:
                raise ValueError(port)
            number = known
    except (WireError, ValueError):
        raise IpvsError(f"illegal {what} address[:port] specified", USAGE) from None
    return address, number, bool(colon)


def _number(text: str, most: int, what: str) -> int:
    if not text.isdecimal() or int(text) > most:
        raise IpvsError(f"illegal {what} specified", USAGE)
    return int(text)


def _seconds(text: str, least: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= MOST_SECONDS:
        raise IpvsError(f"invalid timeout value `{text}' specified", USAGE)
    return int(text)


def _fwmark(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= ALL_ONES:
        raise IpvsError(f"invalid fwmark value `{text}' specified", USAGE)
    return int(text)


def _netmask(text: str) -> int:
    try:
        return ipv4_to_int(text)
    except WireError:
        raise IpvsError("illegal virtual server persistent mask specified", USAGE) from None


def _timeouts(words: list[str]) -> tuple[int, int, int]:
    if len(words) < 3:
        raise IpvsError("--set option requires 3 timeout values", USAGE)
    tcp, fin, udp = (_seconds(word, 0) for word in words[:3])
    return tcp, fin, udp


def _scheduler_flags(scheduler: str, text: str) -> int:
    flags = 0
    for word in filter(None, text.split(",")):
        family, _, kind = word.partition("-")
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif family in ("sh", "mh") and kind in _SCHEDULER_FLAGS:
            if family != scheduler:
                raise IpvsError(f"incompatible scheduler flag `{word}'", USAGE)
            flags |= _SCHEDULER_FLAGS[kind]
        else:
            raise IpvsError(f"invalid scheduler flag `{word}'", USAGE)
    return flags
