"""The machine under test on both sides, kept from case to case on the real one and made anew on the emulated one.

The process moves into the real namespace while a `Machine` is open, so that tools and sysctls need no `ip netns exec`.
"""

from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyroute2 import netns as real_netns

from emulator.kernel.bridge import Bridge
from emulator.kernel.fib import Rule
from emulator.kernel.kernel import Kernel
from emulator.kernel.neigh import NudState
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.tuple import Tuple
from emulator.kernel.netns import Netns
from emulator.kernel.nic import Nic
from emulator.kernel.route import Route, RouteType
from emulator.packet.address import ipv4_to_int, mac_to_int, parse_interface
from tests.kernel_oracle import harness
from tests.kernel_oracle.drawn import case as drawn
from tests.kernel_oracle.drawn.tables import by_table, port_of_reply, split_timeouts
from tests.kernel_oracle.drawn.topology import Topology
from tests.kernel_oracle.harness import Frames

PATIENCE = 0.5  # seconds to wait for the real side while it has sent less than the emulator
DRAW_TRIES = 3
GRACE = 0.004  # seconds to wait for what it may send beyond that
FRAGMENT_SECONDS = 3000  # what a case leaves in the real queues does not expire into a later one
CASES_A_NAMESPACE = 400  # the real queues' memory is bounded, so the namespace is made anew after so many cases
QUIET_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.icmp_ratelimit": 0,
    "net.ipv4.icmp_ratemask": 0,
    "net.ipv4.ipfrag_time": FRAGMENT_SECONDS,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.netfilter.nf_conntrack_acct": 1,
}
_REAL_ONLY = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")


class RefusedError(Exception):
    """A side did not take a rule set or a setting; the text is its message."""


class Machine:
    """Use with `with`. `start` begins a case on both sides, `send` puts frames in, `checks` reads the tables."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.careful = False  # wait after each frame for what the real side might send too much
        self.identification = 0
        self._cases = 0
        self._limited_peers: Any = {}
        self._sockets: dict[str, socket.socket] = {}
        self._names: tuple[str, str] | None = None
        self._undo: list[str] = []
        self._undo_sysctls: dict[str, str] = {}
        self._real: Frames = {}
        self._emulated: Frames = {}

    def __enter__(self) -> Self:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._build()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()
        self._tear_down()
        os.close(self._home)

    def enter(self) -> None:
        """Move this process into the real namespace."""
        assert self._names is not None
        real_netns.setns(self._names[0])

    def leave(self) -> None:
        """Move this process back to where it was when the machine was made."""
        real_netns.setns(self._home)

    # The real side

    def _build(self) -> None:
        number = f"{os.getpid()}-{next(harness._numbers)}"
        inner, outer = self._names = (f"pwo-{number}", f"pwx-{number}")
        for name in self._names:
            _run("ip", "netns", "add", name)
        real_netns.setns(outer)
        for name in _REAL_ONLY:
            _write_sysctl(name, 1)
        _run("ip", "-batch", "-", stdin=self._outer_batch(inner))
        for number_, plan in enumerate(self.topology.links):
            harness._disable_checksum_offload(f"x{number_}")
            self._sockets[plan.name] = harness._packet_socket(f"x{number_}")
        real_netns.setns(inner)
        for name in _REAL_ONLY:
            _write_sysctl(name, 1)
        _run("ip", "-batch", "-", stdin=self._inner_batch())
        for plan in self.topology.links:
            harness._disable_checksum_offload(plan.name)
        for name, value in self._quiet_sysctls().items():
            _write_sysctl(name, value)

    def _outer_batch(self, inner: str) -> str:
        lines = []
        for number, plan in enumerate(self.topology.links):
            near = f"link add dev {plan.name} netns {inner} address {plan.mac} type veth"
            lines.append(f"{near} peer name x{number} address {harness.PEER_MAC % number}")
            lines.append(f"link set dev x{number} arp off up")
        return "".join(f"{line}\n" for line in lines)

    def _inner_batch(self) -> str:
        lines = ["link set lo up"]
        for name, mac, address in self.topology.bridges:
            lines.append(f"link add dev {name} address {mac} type bridge forward_delay 0 mcast_snooping 0")
            lines += [f"link set dev {name} up", f"addr add {address} dev {name}"]
        lines += [f"addr add {address} dev lo" for address in self.topology.loopback]
        for plan in self.topology.links:
            lines.append(f"link set dev {plan.name} up")
            lines.append(f"link set dev {plan.name} master {plan.bridge}" if plan.bridge
                         else f"addr add {plan.address} dev {plan.name}")  # fmt: skip
        for link, address, mac in self.topology.neighbours:
            lines.append(f"neigh replace {address} lladdr {mac} nud permanent dev {link}")
        return "".join(f"{line}\n" for line in lines)

    def _quiet_sysctls(self) -> dict[str, int]:
        names = [plan.name for plan in self.topology.links] + [name for name, _, _ in self.topology.bridges]
        per_link = {f"net.ipv4.conf.{name}.{field}": 0 for name in names for field in ("rp_filter", "send_redirects")}
        return QUIET_SYSCTLS | per_link

    def _tear_down(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
        for name in self._names or ():
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)

    def renew(self) -> None:
        """Make the real namespace anew, with nothing remembered of earlier cases."""
        self._cases = 0
        self._limited_peers = {}
        self.leave()
        self._tear_down()
        self._undo.clear()
        self._undo_sysctls.clear()
        self._build()

    def _clean(self) -> None:
        """Take back what the case before did to the real side."""
        self._cases += 1
        if self._cases > CASES_A_NAMESPACE:
            self.renew()
            return
        _run("nft", "flush", "ruleset")
        _run("ipset", "destroy")
        undo = [f"link set dev {name} type bridge fdb_flush" for name, _, _ in self.topology.bridges]
        undo += reversed(self._undo)
        if undo:
            _run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in undo))
        self._undo.clear()
        for name, value in self._undo_sysctls.items():
            _write_sysctl(name, value)
        self._undo_sysctls.clear()
        subprocess.run(("conntrack", "-F"), check=False, capture_output=True)
        for sock in self._sockets.values():
            while _readable(sock):
                sock.recv(65_600)

    # A case

    def start(self, case: drawn.Case, seed: int) -> None:
        """Begin a case on both sides. RefusedError if one does not take it and the other does."""
        self.enter()
        self._clean()
        self._make_emulated(seed)
        for name, value in case.sysctls:
            self._undo_sysctls.setdefault(name, _read_sysctl(name))
            _write_sysctl(name, value)
            self.ns.sysctl.set(name, value)
        self._add_routes(case)
        self._restore(case)

    def _make_emulated(self, seed: int) -> None:
        self.kernel = Kernel("drawn", random.Random(seed), _jiffies_now())
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
            _run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))

    def _restore(self, case: drawn.Case) -> None:
        if not case.tables:
            return
        done = subprocess.run(("iptables-restore",), check=False, capture_output=True, text=True, input=case.rules_text)
        real = done.stderr.strip() if done.returncode else ""
        emulated = ""
        try:
            self.ns.netfilter.restore(case.rules_text)
        except RestoreError as error:
            emulated = str(error) or "refused"
        if real or emulated:
            raise RefusedError(f"the real iptables-restore: {real or 'ok'}; the emulator: {emulated or 'ok'}")

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
            port = port_of_reply(_run("conntrack", "-L"), original, "dport" if field == "sport" else "sport")
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
        output = _run("conntrack", "-L", "-o", "extended")
        self._run()
        emulated = [
            each.format(self.kernel.now, accounting=True, extended=True) for each in self.ns.netfilter.conntrack
        ]
        return split_timeouts(output.splitlines()), split_timeouts(emulated)

    def rules(self) -> tuple[list[str], list[str]]:
        """Return the rules of both sides with their counters, as lines."""
        real = [line for line in _run("iptables-save", "-c").splitlines() if not line.startswith("#")]
        return by_table(real), by_table(self.ns.netfilter.save(counters=True).splitlines())


def _jiffies_now() -> float:
    """Return the kernel's own time, so that what compares a duration with it does so alike: jiffies start at -300 s."""
    return time.monotonic() - 300


def _readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def _read_sysctl(name: str) -> str:
    return Path("/proc/sys", *name.split(".")).read_text().strip()


def _write_sysctl(name: str, value: int | str) -> None:
    Path("/proc/sys", *name.split(".")).write_text(str(value))


def _run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{stdin}")
    return done.stdout
