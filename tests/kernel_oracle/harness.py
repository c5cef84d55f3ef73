"""One namespace twice: made in the real kernel and in the emulator, fed with the same frames, compared frame for frame.

A `Testbed` has a namespace under test with links; the far end of each link is the harness's own. Set-up calls act on
both sides. `exchange` sends frames in at links and returns what came out, by link, of each side; `advance` lets time
pass on both. The real side is veths into a silent outer namespace, read and written with AF_PACKET sockets.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import random
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2 import netns as real_netns

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.dummy import Dummy
from emulator.kernel.link.link import Link
from emulator.kernel.link.nic import Nic
from emulator.kernel.neigh import NudState
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import TABLE_MAIN, NextHop, Route, RouteType, Scope
from emulator.packet.address import ipv4_to_int, mac_to_int, parse_interface
from emulator.packet.checksum import checksum
from tests.kernel.frames import arp as arp
from tests.kernel.frames import echo as echo
from tests.kernel.frames import ethernet as ethernet
from tests.kernel.frames import ipv4 as ipv4
from tests.kernel.frames import udp as udp

QUIET = 0.03  # seconds without a frame after which the real side has nothing more to say
PATIENCE = 0.5  # the same, while it has said less than the emulator: the machine may be busy
GRACE = 0.003  # the same, once it has said as much as the emulator: a veth delivers before `send` returns
ETH_P_ALL = 0x0003
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
PACKET_OUTGOING = 4
INTERNET_CONTROL = 0xC0  # the TOS of ICMP errors
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4
PEER_MAC = "02:00:00:00:ff:%02x"

_numbers = itertools.count()

Frames = dict[str, list[bytes]]


@dataclass
class Observed:
    """What came out of each side, by link, in order."""

    real: Frames = field(default_factory=dict)
    emulated: Frames = field(default_factory=dict)

    def owed(self) -> bool:
        """Whether the real side has sent less than the emulator at some link."""
        return any(len(self.real[link]) < len(frames) for link, frames in self.emulated.items())


class Testbed:
    """A namespace under test on both sides; use it with `with`. `ns` is the emulated one, `name` the real one."""

    __test__ = False

    def __init__(self, seed: int = 1) -> None:
        number = f"{os.getpid()}-{next(_numbers)}"
        self.name = f"pwo-{number}"
        self._outer = f"pwx-{number}"
        self.kernel = Kernel("testbed", random.Random(seed))
        self.ns = Netns(self.kernel, "test")
        self._sockets: dict[str, socket.socket] = {}
        self._nics: dict[str, Nic] = {}
        self.started = time.monotonic()

    def __enter__(self) -> Self:
        for name in (self.name, self._outer):
            self.run("ip", "netns", "add", name)
            self._real_sysctl(name, "net.ipv6.conf.all.disable_ipv6", "1")
            self._real_sysctl(name, "net.ipv6.conf.default.disable_ipv6", "1")
        self.ip("link set lo up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for sock in self._sockets.values():
            sock.close()
        for name in (self.name, self._outer):
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)

    # Set-up, on both sides

    def add_link(self, name: str, mac: str, *, mtu: int = 1500) -> Link:
        """Add a link that is up; frames are put in and come out at its far end."""
        far = f"x{len(self._sockets)}"
        near = f"link add dev {name} netns {self.name} address {mac} mtu {mtu} type veth"
        there = f"peer name {far} netns {self._outer} address {PEER_MAC % len(self._sockets)} mtu {mtu}"
        self.run("ip", *near.split(), *there.split())
        self.run("ip", "-n", self._outer, "link", "set", "dev", far, "arp", "off", "up")
        self.ip(f"link set dev {name} up")
        with _inside(self.name):
            _disable_checksum_offload(name)
        with _inside(self._outer):
            _disable_checksum_offload(far)
            self._sockets[name] = _packet_socket(far)
        nic = self._nics[name] = Nic(self.ns, name, mac_to_int(mac), mtu)
        nic.set_up()
        return nic

    def add_dummy(self, name: str, mac: str) -> Link:
        """Add a dummy link that is up."""
        self.ip(f"link add dev {name} address {mac} type dummy")
        self.ip(f"link set dev {name} up")
        dummy = Dummy(self.ns, name, mac_to_int(mac))
        dummy.set_up()
        return dummy

    def add_bridge(self, name: str, mac: str, ports: Sequence[str] = ()) -> Bridge:
        """Add a bridge that is up, with links as its ports; no multicast snooping, no forwarding delay."""
        self.ip(f"link add dev {name} address {mac} type bridge forward_delay 0 mcast_snooping 0")
        self.ip(f"link set dev {name} up")
        bridge = Bridge(self.ns, name, mac_to_int(mac))
        bridge.set_up()
        for port in ports:
            self.ip(f"link set dev {port} master {name}")
            bridge.add_port(self.ns.links[port])
        return bridge

    def set_hairpin(self, port: str) -> None:
        """`bridge link set dev PORT hairpin on`."""
        self.run("bridge", "-n", self.name, "link", "set", "dev", port, "hairpin", "on")
        membership = self.ns.links[port].port
        assert membership is not None
        membership.hairpin = True

    def add_address(self, link: str, address: str) -> None:
        """`ip addr add ADDRESS/LENGTH dev LINK`."""
        self.ip(f"addr add {address} dev {link}")
        value, length = parse_interface(address)
        self.ns.add_address(self.ns.links[link], value, length)

    def add_route(self, destination: str, *, via: str = "", link: str = "", kind: str = "unicast", mtu: int = 0,
                  metric: int = 0, source: str = "", table: int = TABLE_MAIN) -> None:  # fmt: skip
        """`ip route add`."""
        words = [kind, destination]
        words += ["via", via] if via else []
        words += ["dev", link] if link else []
        words += ["mtu", str(mtu)] if mtu else []
        words += ["metric", str(metric)] if metric else []
        words += ["src", source] if source else []
        words += ["table", str(table)]
        self.ip("route add " + " ".join(words))
        value, length = (0, 0) if destination == "default" else parse_interface(destination)
        self.ns.fib.add(
            Route(
                value, length, RouteType(kind), self.ns.links[link] if link else None, ipv4_to_int(via) if via else 0,
                ipv4_to_int(source) if source else 0, Scope.UNIVERSE, metric, table, mtu=mtu,
            )
        )  # fmt: skip

    def add_multipath(self, destination: str, hops: Sequence[tuple[str, int]], *, table: int = TABLE_MAIN) -> None:
        """`ip route add DESTINATION nexthop via GATEWAY weight WEIGHT ...`."""
        words = "".join(f" nexthop via {gateway} weight {weight}" for gateway, weight in hops)
        self.ip(f"route add {destination} table {table}{words}")
        value, length = (0, 0) if destination == "default" else parse_interface(destination)
        ways = tuple(NextHop(None, ipv4_to_int(gateway), weight) for gateway, weight in hops)
        self.ns.fib.add(Route(value, length, table=table, nexthops=ways))

    def set_link(self, link: str, *, up: bool) -> None:
        """`ip link set LINK up|down`."""
        self.ip(f"link set dev {link} {'up' if up else 'down'}")
        self.ns.links[link].set_up(up)

    def add_neighbour(self, link: str, address: str, mac: str) -> None:
        """Add a permanent neighbour, so that no ARP is needed."""
        self.add_neighbours(link, [address], mac)

    def add_neighbours(self, link: str, addresses: Sequence[str], mac: str) -> None:
        """Add permanent neighbours with one MAC."""
        lines = [f"neigh replace {address} lladdr {mac} nud permanent dev {link}\n" for address in addresses]
        self.run("ip", "-n", self.name, "-batch", "-", stdin="".join(lines))
        for address in addresses:
            self.ns.neighbours.add(self.ns.links[link], ipv4_to_int(address), mac_to_int(mac), NudState.PERMANENT)

    def set_sysctl(self, name: str, value: int | str) -> None:
        """`sysctl -w NAME=VALUE`."""
        self._real_sysctl(self.name, name, str(value))
        self.ns.sysctl.set(name, value)

    def set_neighbour_sysctl(self, link: str, name: str, value: int) -> None:
        """Set net.ipv4.neigh.LINK.NAME; the emulator has these for all links at once."""
        self._real_sysctl(self.name, f"net.ipv4.neigh.{link}.{name}", str(value))
        self.ns.sysctl.set(f"net.ipv4.neigh.default.{name}", value)

    def restore(self, text: str) -> None:
        """`iptables-restore`."""
        self.execute("iptables-restore", stdin=text)
        self.ns.netfilter.restore(text)

    # Running

    def exchange(self, frames: Iterable[tuple[str, bytes]]) -> Observed:
        """Send frames in, each at a link, and collect all that comes out."""
        observed = Observed({name: [] for name in self._sockets}, {name: [] for name in self._nics})
        for link, frame in frames:
            self._sockets[link].send(frame)
            self._collect_real(observed.real, 0.0)
            self._nics[link].receive_frame(frame)
            self._run_emulated()
        self._collect_emulated(observed.emulated)
        self._collect_real(observed.real, 0.0)
        while observed.owed():
            if not self._collect_real(observed.real, PATIENCE):
                break
        self._collect_real(observed.real, GRACE)
        return observed

    def advance(self, seconds: float) -> Observed:
        """Let time pass on both sides, and collect what timers sent."""
        observed = Observed({name: [] for name in self._sockets}, {name: [] for name in self._nics})
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._collect_real(observed.real, min(left, QUIET))
        self._run_emulated(seconds)
        self._collect_emulated(observed.emulated)
        return observed

    def ip(self, words: str) -> str:
        """Run the real namespace's `ip WORDS`."""
        return self.run("ip", "-n", self.name, *words.split())

    def execute(self, *command: str, stdin: str = "") -> str:
        """Run a command in the real namespace and return its output."""
        return self.run("ip", "netns", "exec", self.name, *command, stdin=stdin)

    def attempt(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the real namespace that may fail."""
        enter = ("ip", "netns", "exec", self.name)
        return subprocess.run((*enter, *command), check=False, capture_output=True, text=True, input=stdin)

    @staticmethod
    def run(*command: str, stdin: str = "") -> str:
        """Run a command and return its output; fail with its message."""
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
        return done.stdout

    def own_addresses(self) -> set[int]:
        """The addresses of the namespace under test."""
        return {own.address for link in self.ns.links.values() for own in link.addresses}

    def compare(self, frames: Iterable[tuple[str, bytes]]) -> Observed:
        """Exchange, and assert that both sides sent the same."""
        observed = self.exchange(frames)
        self.assert_equal(observed)
        return observed

    def assert_equal(self, observed: Observed) -> None:
        """Assert that both sides sent the same frames, but for the identification of packets of our own."""
        own = self.own_addresses()
        for link in self._nics:
            real = [normalise(frame, own) for frame in observed.real[link]]
            emulated = [normalise(frame, own) for frame in observed.emulated[link]]
            assert emulated == real, _difference(link, real, emulated)

    def _collect_real(self, into: Frames, timeout: float) -> bool:
        """Take what is there, and what comes before nothing does for `timeout` seconds. True if there was any."""
        by_socket = {sock: name for name, sock in self._sockets.items()}
        found = False
        while True:
            readable, _, _ = select.select(list(by_socket), [], [], timeout)
            if not readable:
                return found
            for sock in readable:
                frame, ancillary, _, address = sock.recvmsg(65_600, 64)
                if address[2] != PACKET_OUTGOING:
                    into[by_socket[sock]].append(_with_tag(frame, ancillary))
                    found = True

    def _run_emulated(self, seconds: float = 0.0) -> None:
        end = self.kernel.now + seconds
        while (deadline := self.kernel.next_deadline()) is not None and deadline <= end:
            self.kernel.run(deadline)
        self.kernel.run(end)
        assert not self.kernel.faults, self.kernel.faults[-1].error

    def _collect_emulated(self, into: Frames) -> None:
        for name, nic in self._nics.items():
            while nic.transmit_queue:
                into[name].append(nic.transmit_queue.popleft()[0])

    def _real_sysctl(self, namespace: str, name: str, value: str) -> None:
        with _inside(namespace):
            Path("/proc/sys", *name.split(".")).write_text(value)


def normalise(frame: bytes, own: set[int]) -> bytes:
    """Blank what Linux draws at random: the identification of the namespace's own packets, NATed errors among them."""
    if frame[12:14] != b"\x08\x00" or len(frame) < 34:
        return frame
    error = frame[23] == 1 and frame[15] == INTERNET_CONTROL
    if not error and int.from_bytes(frame[26:30], "big") not in own:
        return frame
    data = bytearray(frame)
    data[18:20] = data[24:26] = b"\0\0"
    data[24:26] = checksum(data[14 : 14 + (data[14] & 15) * 4]).to_bytes(2, "big")
    return bytes(data)


def _difference(link: str, real: list[bytes], emulated: list[bytes]) -> str:
    from emulator.packet.describe import describe_frame

    lines = [f"{link}: the real kernel sent"]
    for frames, title in ((real, None), (emulated, "the emulator sent")):
        lines += [title] if title else []
        lines += [f"  {frame[:14].hex()} {describe_frame(frame)}\n    {frame[14:].hex()}" for frame in frames] or [
            "  nothing"
        ]
    return "\n".join(lines)


@contextlib.contextmanager
def _inside(name: str) -> Iterator[None]:
    real_netns.pushns(name)
    try:
        yield
    finally:
        real_netns.popns()


def _packet_socket(link: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((link, ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return sock


def _with_tag(frame: bytes, ancillary: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Put an 802.1Q tag back that the kernel took out of the frame (struct tpacket_auxdata)."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, *_, tag, protocol = struct.unpack("IIIHHHH", data)
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
    return frame


def _disable_checksum_offload(link: str) -> None:
    """Have checksums finished before a veth hands packets over, so that what is captured is what a wire would carry."""
    command = bytearray(struct.pack("II", ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sP", link.encode(), _address_of(command))
        fcntl.ioctl(sock.fileno(), SIOCETHTOOL, request)


def _address_of(buffer: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
