"""The machine under test on both sides: the emulated one is made anew for each case, the real one cleaned."""

from __future__ import annotations

import errno
import random
import select
import socket
import subprocess
import time
from collections.abc import Callable

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.nic import Nic
from emulator.kernel.neigh import NudState
from emulator.kernel.netfilter.conntrack.tuple import Tuple
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.ipset.error import IpsetRestoreError
from emulator.kernel.netns import Netns
from emulator.kernel.routing.fib import Rule
from emulator.kernel.routing.route import Route, RouteType
from emulator.packet.address import ipv4_to_int, mac_to_int, parse_interface
from tests.kernel_oracle import harness
from tests.kernel_oracle.drawn import case as drawn
from tests.kernel_oracle.drawn.real_side import RealSide, read_sysctl, run, write_sysctl
from tests.kernel_oracle.drawn.tables import by_table, element_lines, port_of_reply, split_timeouts
from tests.kernel_oracle.drawn.topology import Topology
from tests.kernel_oracle.harness import Frames

Send = Callable[[bytes, tuple[str, int]], object]

PATIENCE = 0.5  # seconds to wait for the real side while it has sent less than the emulator
DRAW_TRIES = 3
GRACE = 0.004  # seconds to wait for what it may send beyond that


class RefusedError(Exception):
    """A side did not take rules or sets, or both did not."""

    def __init__(self, message: str, *, both: bool) -> None:
        super().__init__(message)
        self.both = both


class LocalError(Exception):
    """A socket of the machine got another error on one side."""


class Machine(RealSide):
    """Use with `with`. `start` begins a case on both sides, `send` puts frames in, the tables are read as lines."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self.careful = False  # wait after each frame for what the real side might send too much
        self.identification = 0
        self._opened: list[socket.socket] = []
        self._real_local: dict[tuple[str, int], Send] = {}
        self._emulated_local: dict[tuple[str, int], Send] = {}
        self._real: Frames = {}
        self._emulated: Frames = {}

    # A case

    def start(self, case: drawn.Case, seed: int) -> None:
        """Begin a case on both sides. RefusedError if one does not take it and the other does."""
        self.enter()
        self._clean()
        self._make_emulated(seed)
        for name, value in case.sysctls:
            self._undo_sysctls.setdefault(name, read_sysctl(name))
            write_sysctl(name, value)
            self.ns.sysctl.set(name, value)
        self._add_routes(case)
        self._has_sets = bool(case.sets)
        if case.sets:
            self._load(("ipset", "restore", "-exist"), "".join(f"{line}\n" for line in case.sets),
                       lambda text: self.ns.netfilter.sets.restore(text, exist=True))  # fmt: skip
        if case.tables:
            self._load(("iptables-restore",), case.rules_text, self.ns.netfilter.restore)

    def _make_emulated(self, seed: int) -> None:
        self.kernel = Kernel("drawn", random.Random(seed), _jiffies_now())
        self.kernel.boot_time = time.time() - self.kernel.now
        self.ns = ns = Netns(self.kernel, "test")
        # Linux limits "unreachable" by sender for as long as a namespace lives (ip_error); no knob turns that off.
        ns.icmp._limit._peers = self._limited_peers
        self._nics: dict[str, Nic] = {}
        ns.netfilter.nat.draw_offset = self._offset_of_real
        for name, value in self._quiet_sysctls().items():
            if ".conf." not in name or ".conf.all." in name or ".conf.default." in name:
                ns.sysctl.set(name, value)
        for name, mac, address in self.topology.bridges:
            bridge = Bridge(ns, name, mac_to_int(mac))
            bridge.set_up()
            ns.add_address(bridge, *parse_interface(address))
        for address in self.topology.loopback:
            ns.add_address(ns.loopback, *parse_interface(address))
        for plan in self.topology.links:
            nic = self._nics[plan.name] = Nic(ns, plan.name, mac_to_int(plan.mac), 1500)
            nic.set_up()
            if plan.bridge:
                bridge = ns.links[plan.bridge]
                assert isinstance(bridge, Bridge)
                bridge.add_port(nic)
            else:
                ns.add_address(nic, *parse_interface(plan.address))
        for link, address, mac in self.topology.neighbours:
            ns.neighbours.add(ns.links[link], ipv4_to_int(address), mac_to_int(mac), NudState.PERMANENT)

    def _add_routes(self, case: drawn.Case) -> None:
        lines = []
        for route in case.routes:
            lines.append(f"route add {route.words()}")
            self._undo.append(f"route del {route.words()}")
            value, length = (0, 0) if route.destination == "default" else parse_interface(route.destination)
            link = self.ns.links[route.link] if route.link else None
            via = ipv4_to_int(route.via) if route.via else 0
            self.ns.fib.add(
                Route(value, length, RouteType(route.kind), link, via, metric=route.metric, table=route.table,
                      mtu=route.mtu)
            )  # fmt: skip
        for rule in case.policy_rules:
            lines.append(f"rule add {rule.words()}")
            self._undo.append(f"rule del {rule.words()}")
            source = parse_interface(rule.source) if rule.source else (0, 0)
            target = parse_interface(rule.destination) if rule.destination else (0, 0)
            mask = rule.mask if rule.mark else 0
            self.ns.fib.add_rule(Rule(rule.priority, rule.table, source, target, rule.mark, mask, rule.in_link))
        if lines:
            run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))

    @staticmethod
    def _load(command: tuple[str, ...], text: str, emulated: Callable[[str], None]) -> None:
        """Load rules or sets on both sides. RefusedError if one refuses, and whether both do."""
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
        real = (done.stderr.strip() or "refused") if done.returncode else ""
        ours = ""
        try:
            emulated(text)
        except (RestoreError, IpsetRestoreError) as error:
            ours = str(error) or "refused"
        if real or ours:
            told = f"the real {command[0]}: {real or 'ok'}; the emulator: {ours or 'ok'}"
            raise RefusedError(told, both=bool(real and ours))

    # Frames

    def send(self, frames: list[tuple[str, bytes]]) -> tuple[Frames, Frames]:
        """Put frames in on both sides, and return what came out: of the real side, of the emulated."""
        self._real = {name: [] for name in self._sockets}
        self._emulated = {name: [] for name in self._sockets}
        for link, frame in frames:
            try:
                self._sockets[link].send(frame)
            except OSError:  # too short or too long for an AF_PACKET socket
                continue
            self._collect(0.0)
            self._nics[link].receive_frame(frame)
            self._run()
        self.settle()
        return self._real, self._emulated

    def send_local(self, plan: drawn.Conversation, payload: bytes) -> tuple[Frames, Frames]:
        """Send a UDP datagram from a socket of the machine itself. LocalError if both sides do not fail alike."""
        self._real = {name: [] for name in self._sockets}
        self._emulated = {name: [] for name in self._sockets}
        key = (plan.source, plan.sport)
        errors = []
        for sockets, opened in ((self._real_local, self._open_real), (self._emulated_local, self._open_emulated)):
            try:
                send = sockets.get(key) or sockets.setdefault(key, opened(*key))
                send(payload, (plan.target, plan.dport))
                errors.append("sent")
            except OSError as error:
                errors.append(errno.errorcode[error.errno or 0])
            self._collect(0.0)
        self._run()
        self.settle()
        if errors[0] != errors[1]:
            raise LocalError(f"the real socket: {errors[0]}; the emulator's: {errors[1]}")
        return self._real, self._emulated

    def _open_real(self, source: str, port: int) -> Send:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._opened.append(opened)
        opened.bind((source, port))
        return opened.sendto

    def _open_emulated(self, source: str, port: int) -> Send:
        self._run()
        opened = self.ns.sockets.udp()
        opened.bind((source, port))
        return opened.send_to

    def leave(self) -> None:
        """Close the sockets of the case too, which would keep the namespace alive."""
        self._close_local()
        super().leave()

    def _close_local(self) -> None:
        for opened in self._opened:
            opened.close()
        self._opened.clear()
        self._real_local.clear()
        self._emulated_local.clear()

    def wait(self, seconds: float) -> tuple[Frames, Frames]:
        """Let real time go by."""
        self._real = {name: [] for name in self._sockets}
        self._emulated = {name: [] for name in self._sockets}
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._collect(left)
        self._run()
        self.settle()
        return self._real, self._emulated

    def settle(self) -> None:
        """Collect until the real side has sent as much as the emulator, or patience ends."""
        self._collect(0.0)
        while self._owed() and self._collect(PATIENCE):
            pass
        if self.careful:
            self._collect(GRACE)

    def rest(self) -> Frames:
        """Return what the real side sent beyond what was compared, at the end of a case."""
        self._real = {name: [] for name in self._sockets}
        self._collect(GRACE)
        return {name: frames for name, frames in self._real.items() if frames}

    def _offset_of_real(self, field: str, first: int, original: Tuple) -> int:
        """Begin to look for a port where the real kernel found one, as its entry shows if it has made one.

        The emulator then takes it only if it is free and in the range; otherwise both sides differ.
        """
        for _ in range(DRAW_TRIES):
            port = port_of_reply(run("conntrack", "-L"), original, "dport" if field == "sport" else "sport")
            if port is not None:
                return port - first
            self._collect(GRACE)
        return self.kernel.random.getrandbits(16)

    def _owed(self) -> bool:
        return any(len(self._real[name]) < len(frames) for name, frames in self._emulated.items())

    def _collect(self, timeout: float) -> bool:
        by_socket = {sock: name for name, sock in self._sockets.items()}
        found = False
        while True:
            readable, _, _ = select.select(list(by_socket), [], [], timeout)
            if not readable:
                return found
            for sock in readable:
                frame, ancillary, _, address = sock.recvmsg(65_600, 64)
                if address[2] != harness.PACKET_OUTGOING:
                    self._real[by_socket[sock]].append(harness._with_tag(frame, ancillary))
                    found = True

    def _run(self) -> None:
        now = _jiffies_now()
        while (deadline := self.kernel.next_deadline()) is not None and deadline <= now:
            self.kernel.run(deadline)
        self.kernel.run(now)
        for name, nic in self._nics.items():
            while nic.transmit_queue:
                self._emulated[name].append(nic.transmit_queue.popleft()[0])

    # Tables

    def expire(self, step: drawn.ExpireStep) -> None:
        """Let the entries of a protocol end `seconds` from now."""
        words = ["-p", step.protocol] if step.protocol else []
        subprocess.run(
            ("conntrack", "-U", *words, "-s", "0.0.0.0/0", "-t", str(step.seconds)), check=False, capture_output=True
        )
        self._run()
        for connection in self._connections(step.protocol):
            self.ns.netfilter.conntrack.renew(connection, float(step.seconds))

    def delete(self, step: drawn.DeleteStep) -> None:
        """Delete the entries of a protocol."""
        subprocess.run(("conntrack", "-D", "-p", step.protocol), check=False, capture_output=True)
        self._run()
        for connection in self._connections(step.protocol):
            self.ns.netfilter.conntrack.delete(connection)

    def _connections(self, protocol: str):  # type: ignore[no-untyped-def]
        number = {"": 0, "tcp": 6, "udp": 17, "icmp": 1}[protocol]
        return [each for each in self.ns.netfilter.conntrack if not number or each.protocol == number]

    def entries(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Return the conntrack entries of both sides as sorted lines, each with its timeout taken out."""
        output = run("conntrack", "-L", "-o", "extended")
        self._run()
        emulated = [
            each.format(self.kernel.now, accounting=True, extended=True) for each in self.ns.netfilter.conntrack
        ]
        return split_timeouts(output.splitlines()), split_timeouts(emulated)

    def sets(self) -> tuple[list[str], list[str]]:
        """Return what `ipset save` prints on both sides, without the seconds that elements have left."""
        if not self._has_sets:
            return [], []
        real = run("ipset", "save")
        self._run()
        return element_lines(real), element_lines(self.ns.netfilter.sets.save())

    def rules(self) -> tuple[list[str], list[str]]:
        """Return the rules of both sides with their counters, as lines."""
        real = [line for line in run("iptables-save", "-c").splitlines() if not line.startswith("#")]
        return by_table(real), by_table(self.ns.netfilter.save(counters=True).splitlines())


def _jiffies_now() -> float:
    """Return the kernel's own time, so that what compares a duration with it does so alike: jiffies start at -300 s."""
    return time.monotonic() - 300
