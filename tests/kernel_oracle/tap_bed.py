"""Linux's own TCP on one end of a TAP device, the emulator's on the other, in real time.

The real end is a namespace of its own; its program is either the test itself, through `socket()`, or `tcp_peer.py`.
Between the two ends a `Wire` may lose, delay and reorder frames, drawn from a seed. The emulated machine's clock is the
real one while `run` or `run_until` runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from pyroute2 import netns as real_netns

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int
from emulator.packet.icmp import IcmpHeader
from emulator.packet.ipv4 import Ipv4Header
from tests.kernel.socket_world import MAC_SERVER, attach
from tests.kernel_oracle import tcp_peer

REAL, EMULATED, ROUTER = "10.99.0.1", "10.99.0.2", "10.99.0.3"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME = 65_600
BURST = 32  # frames that are read from the TAP before the emulated machine runs
ARP = b"\x08\x06"

_numbers = itertools.count()


class Disturbance(msgspec.Struct, frozen=True):
    """What happens to frames, each way. `loss` and `reorder` are shares; times in seconds.

    A reordered frame is held for `held` more than the others, as netem's `reorder` lets some overtake; every frame is
    late by up to `jitter`, but keeps its place unless `reorder` says otherwise.
    """

    loss: float = 0.0
    reorder: float = 0.0
    held: float = 0.001
    jitter: float = 0.0
    seed: int = 1


CALM = Disturbance()


class Wire:
    """One direction: frames go in with `put`, and `due` hands out those whose time has come. ARP is spared."""

    def __init__(self, disturbance: Disturbance, deliver: Callable[[bytes], None]) -> None:
        self._fate = disturbance
        self._random = random.Random(disturbance.seed)
        self._calm = not (disturbance.loss or disturbance.reorder or disturbance.jitter)
        self._deliver = deliver
        self._late: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._latest = 0.0
        self.frames = self.lost = 0
        self.cut = False

    def put(self, frame: bytes, now: float) -> None:
        """Carry a frame, lose it, or keep it until later."""
        self.frames += 1
        arp = frame[12:14] == ARP
        if not arp and (self.cut or (self._fate.loss and self._random.random() < self._fate.loss)):
            self.lost += 1
            return
        if self._calm or arp:
            self._deliver(frame)
            return
        self._latest = at = max(self._latest, now + self._random.random() * self._fate.jitter)
        if self._random.random() < self._fate.reorder:
            at += self._fate.held
        self._count += 1
        heapq.heappush(self._late, (at, self._count, frame))

    def due(self, now: float) -> float | None:
        """Deliver what is due; returns when the next frame is."""
        late = self._late
        while late and late[0][0] <= now:
            self._deliver(heapq.heappop(late)[2])
        return late[0][0] if late else None


class TapBed:
    """Use it with `with`. `ns` is the emulated namespace, `name` the real one."""

    __test__ = False

    def __init__(self, disturbance: Disturbance = CALM, *, mtu: int = 1500) -> None:
        self.name = f"pwt-{os.getpid()}-{next(_numbers)}"
        self.kernel = Kernel("tap", random.Random(disturbance.seed))
        self.ns = Netns(self.kernel, "test")
        self.nic = Nic(self.ns, "eth0", MAC_SERVER, mtu)
        attach(self.ns, self.nic, EMULATED)
        self._mtu = mtu
        self._started = time.monotonic()
        self.to_real = Wire(disturbance, self._write)
        self.to_emulated = Wire(msgspec.structs.replace(disturbance, seed=disturbance.seed + 1), self._take)
        self._tap = -1
        self._open: list[socket.socket] = []
        self.programs: list[Callable[[], None]] = []  # called after every event
        self.path_mtu = 0  # of a router between both ends; 0 for none
        self.too_big = [0, 0]  # packets that it refused: to the real end, to the emulated one

    def __enter__(self) -> Self:
        _command("ip", "netns", "add", self.name)
        with self.inside():
            for family in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{family}/disable_ipv6").write_text("1")
            self._tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self._tap, TUNSETIFF, struct.pack("16sH", b"tap0", IFF_TAP | IFF_NO_PI))
        self.set_real_sysctl("net.ipv4.tcp_congestion_control", "reno")  # whatever the machine prefers
        ip = ("ip", "-n", self.name)
        _command(*ip, "link", "set", "lo", "up")
        _command(*ip, "link", "set", "tap0", "mtu", str(self._mtu), "txqueuelen", "10000", "up")
        _command(*ip, "addr", "add", f"{REAL}/24", "dev", "tap0")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self._open:
            one.close()
        if self._tap >= 0:
            os.close(self._tap)
        subprocess.run(("ip", "netns", "del", self.name), check=False, capture_output=True)

    # Linux's side

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What is opened here belongs to the real namespace."""
        real_netns.pushns(self.name)
        try:
            yield
        finally:
            real_netns.popns()

    def set_real_sysctl(self, name: str, value: str) -> None:
        """`sysctl -w` in the real namespace."""
        with self.inside():
            Path("/proc/sys", *name.split(".")).write_text(value)

    def set_sysctl(self, name: str, value: int | str) -> None:
        """`sysctl -w` on both sides."""
        self.set_real_sysctl(name, str(value))
        self.ns.sysctl.set(name, value)

    def socket(self) -> socket.socket:
        """Open one of Linux's TCP sockets, which does not block."""
        with self.inside():
            one = socket.socket()
        return self.adopt(one)

    def adopt(self, one: socket.socket) -> socket.socket:
        """Have an accepted socket closed at the end."""
        one.setblocking(False)
        self._open.append(one)
        return one

    def execute(self, *words: str) -> str:
        """Run a command in the real namespace and return its output."""
        return _command("ip", "netns", "exec", self.name, *words)

    def peer(self, role: str, port: int, seed: int, size: int) -> subprocess.Popen[str]:
        """Start `tcp_peer.py` in the real namespace; where it listens, it does so already."""
        address = REAL if role == "listen" else EMULATED
        words = (sys.executable, tcp_peer.__file__, role, address, str(port), str(seed), str(size))
        process = subprocess.Popen(("ip", "netns", "exec", self.name, *words), stdout=subprocess.PIPE, text=True)
        if role == "listen":
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
        return process

    @staticmethod
    def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
        """What a peer that has ended printed."""
        output, _ = process.communicate(timeout=10)
        found: dict[str, Any] = json.loads(output)
        return found

    # Time

    @property
    def now(self) -> float:
        """Seconds since the bed was made: the emulated machine's clock."""
        return time.monotonic() - self._started

    def run(self, seconds: float) -> None:
        """Let real time pass on both sides."""
        end = self.now + seconds
        while (left := end - self.now) > 0:
            self._turn(left)

    def run_until(self, condition: Callable[[], bool], limit: float = 10.0) -> None:
        """Let real time pass until `condition` holds; fail if it does not within `limit` seconds."""
        end = self.now + limit
        while not condition():
            assert self.now < end, "the condition did not come true in time"
            self._turn(0.02)  # what the real program does is not seen at the TAP

    def _turn(self, longest: float) -> None:
        """Carry what is there; if there is nothing, wait for the next event, at most `longest` seconds."""
        deadlines = [self._run_emulated(), self.to_real.due(self.now), self.to_emulated.due(self.now)]
        wait = min([longest, *(at - self.now for at in deadlines if at is not None)])
        select.select([self._tap], [], [], max(wait, 0.0))
        now = self.now
        with contextlib.suppress(BlockingIOError):
            for _ in range(BURST):
                self.to_emulated.put(os.read(self._tap, FRAME), now)
        self.to_emulated.due(now)
        self._run_emulated()

    def _run_emulated(self) -> float | None:
        now = self.now
        while self.kernel.run(now):
            pass
        for program in self.programs:
            program()
        assert not self.kernel.faults, self.kernel.faults[0].error
        queue = self.nic.transmit_queue
        while queue:
            self.to_real.put(queue.popleft()[0], now)
        return self.kernel.next_deadline()

    def _write(self, frame: bytes) -> None:
        if self._is_too_big(frame):
            self.too_big[0] += 1
            self.nic.receive_frame(self._refusal(frame))
            return
        with contextlib.suppress(BlockingIOError):
            os.write(self._tap, frame)

    def _take(self, frame: bytes) -> None:
        if self._is_too_big(frame):
            self.too_big[1] += 1
            os.write(self._tap, self._refusal(frame))
            return
        self.nic.receive_frame(frame)

    def _is_too_big(self, frame: bytes) -> bool:
        return 0 < self.path_mtu < len(frame) - 14

    def _refusal(self, frame: bytes) -> bytes:
        """What a router between both ends says of a packet that its next link is too narrow for."""
        header = Ipv4Header.parse(frame, 14)
        assert header.dont_fragment
        message = IcmpHeader.destination_unreachable(4, self.path_mtu).build(frame[14 : 14 + 28 + 20])
        packet = Ipv4Header(ipv4_to_int(ROUTER), header.source, 1, ttl=64).build(message)
        return frame[6:12] + frame[0:6] + frame[12:14] + packet


def _command(*words: str) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout
