"""The real side of a machine under test: its namespace, its links, and how a case's traces are taken back.

The process moves into the namespace, so that tools and sysctls need no `ip netns exec`.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyroute2 import netns as real_netns

from tests.kernel_oracle import harness
from tests.kernel_oracle.drawn.topology import Topology

TRIES = 200
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


class RealSide:
    """The real namespace and its links, kept from case to case. Use it with `with`."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._cases = 0
        self._limited_peers: Any = {}
        self._sockets: dict[str, socket.socket] = {}
        self._names: tuple[str, str] | None = None
        self._undo: list[str] = []
        self._undo_sysctls: dict[str, str] = {}

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

    def _build(self) -> None:
        number = f"{os.getpid()}-{next(harness._numbers)}"
        inner, outer = self._names = (f"pwo-{number}", f"pwx-{number}")
        for name in self._names:
            run("ip", "netns", "add", name)
        real_netns.setns(outer)
        for name in _REAL_ONLY:
            write_sysctl(name, 1)
        run("ip", "-batch", "-", stdin=self._outer_batch(inner))
        for number_, plan in enumerate(self.topology.links):
            harness._disable_checksum_offload(f"x{number_}")
            self._sockets[plan.name] = harness._packet_socket(f"x{number_}")
        real_netns.setns(inner)
        for name in _REAL_ONLY:
            write_sysctl(name, 1)
        run("ip", "-batch", "-", stdin=self._inner_batch())
        for plan in self.topology.links:
            harness._disable_checksum_offload(plan.name)
        for name, value in self._quiet_sysctls().items():
            write_sysctl(name, value)

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

    @staticmethod
    def _destroy_sets() -> None:
        """Destroy all sets: lists hold their members, and rules that are gone hold sets a little longer."""
        run("ipset", "flush")
        for _ in range(TRIES):
            done = subprocess.run(("ipset", "destroy"), check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return
            time.sleep(0.01)
        raise RuntimeError(done.stderr)

    def _clean(self) -> None:
        """Take back what the case before did to the real side."""
        self._cases += 1
        if self._cases > CASES_A_NAMESPACE:
            self.renew()
            return
        run("nft", "flush", "ruleset")
        self._destroy_sets()
        undo = [f"link set dev {name} type bridge fdb_flush" for name, _, _ in self.topology.bridges]
        undo += reversed(self._undo)
        if undo:
            run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in undo))
        self._undo.clear()
        for name, value in self._undo_sysctls.items():
            write_sysctl(name, value)
        self._undo_sysctls.clear()
        subprocess.run(("conntrack", "-F"), check=False, capture_output=True)
        for sock in self._sockets.values():
            while readable(sock):
                sock.recv(65_600)


def readable(sock: socket.socket) -> bool:
    """Whether there is a frame to read."""
    return bool(select.select([sock], [], [], 0)[0])


def read_sysctl(name: str) -> str:
    """Return a value of the namespace that this process is in."""
    return Path("/proc/sys", *name.split(".")).read_text().strip()


def write_sysctl(name: str, value: int | str) -> None:
    """Set a value of the namespace that this process is in."""
    Path("/proc/sys", *name.split(".")).write_text(str(value))


def run(*command: str, stdin: str = "") -> str:
    """Run a command in the namespace that this process is in, and return its output; RuntimeError with its message."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{stdin}")
    return done.stdout
