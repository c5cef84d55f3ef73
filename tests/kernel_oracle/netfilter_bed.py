"""A router on both sides for the netfilter tests: three networks, forwarding, and what conntrack and rules counted."""

from __future__ import annotations

import math
import re
import time

from emulator.kernel.netfilter.conntrack.connection import Connection
from tests.kernel_oracle.harness import Observed, Testbed, ethernet

MACS = {"a": "02:00:00:00:00:01", "b": "02:00:00:00:00:02", "c": "02:00:00:00:00:03"}
HOST_MAC = "02:aa:00:00:00:02"
_TIMEOUT = re.compile(r"^(\S+ +\d+) \d+ ")


class RouterBed(Testbed):
    """Links a, b and c with 10.0.{1,2,3}.1/24; hosts .2 to .9 are neighbours on each."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self._changed: dict[str, str] = {}
        self._empty_at = time.monotonic()  # when there were no connections

    def build(self, rules: str, *, sysctls: dict[str, int] | None = None) -> RouterBed:
        """Make the router and load the rules."""
        self.set_sysctl("net.ipv4.ip_forward", 1)
        self.set_sysctl("net.ipv4.icmp_ratelimit", 0)
        for number, (name, mac) in enumerate(MACS.items(), 1):
            self.add_link(name, mac)
            self.add_address(name, f"10.0.{number}.1/24")
            self.add_neighbours(name, [f"10.0.{number}.{host}" for host in range(2, 10)], HOST_MAC)
        self.restore(rules)
        for name, value in (sysctls or {}).items():
            self.set_sysctl(name, value)
        return self

    def change_sysctl(self, name: str, value: int) -> None:
        """Set a sysctl until `reset`."""
        self._changed.setdefault(name, self.ns.sysctl.get(name))
        self.set_sysctl(name, value)

    def reset(self) -> None:
        """Forget all connections and changed sysctls, so that the next test can have this router too."""
        self.execute("conntrack", "-F")
        self.ns.netfilter.conntrack.flush()
        for name, value in self._changed.items():
            self.set_sysctl(name, value)
        self._changed.clear()
        self._empty_at = time.monotonic()

    def send(self, *packets: tuple[str, bytes]) -> Observed:
        """Send IPv4 packets in, each at a link; both sides must send the same, and have the same entries."""
        observed = self.compare((link, ethernet(MACS[link], HOST_MAC, packet)) for link, packet in packets)
        self.compare_entries()
        return observed

    def compare_entries(self) -> None:
        """Compare the conntrack tables, timeouts aside."""
        emulated, real = self.emulated_entries(), self.real_entries()
        assert emulated == real, "\n".join(["emulated:", *emulated, "real:", *real])

    def real_entries(self) -> list[str]:
        """What `conntrack -L` prints, without the timeouts."""
        return sorted(_TIMEOUT.sub(r"\1 ", line.strip()) for line in self.execute("conntrack", "-L").splitlines())

    def emulated_entries(self) -> list[str]:
        """What the emulator would print."""
        return sorted(str(connection) for connection in self.ns.netfilter.conntrack)

    def connections(self) -> list[Connection]:
        """The emulator's entries."""
        return list(self.ns.netfilter.conntrack)

    def real_timeouts(self) -> list[int]:
        """The seconds left of each entry in the real table."""
        return sorted(int(line.split()[2]) for line in self.execute("conntrack", "-L").splitlines())

    def emulated_timeouts(self) -> list[int]:
        """The seconds left of each entry in the emulator's table."""
        return sorted(int(each.deadline - self.kernel.now) for each in self.connections())

    def compare_timeouts(self) -> None:
        """Compare the timeouts, but for the real time that went by since there were none; the emulated clock stands."""
        emulated, real = self.emulated_timeouts(), self.real_timeouts()
        passed = max(2, math.ceil(time.monotonic() - self._empty_at))  # the real ones are told in whole seconds
        pairs = zip(emulated, real, strict=True)
        assert all(-1 <= one - other <= passed for one, other in pairs), (emulated, real)

    def compare_counters(self, table: str) -> None:
        """Compare the packets and bytes that each rule counted."""
        output = self.execute("iptables-save", "-c", "-t", table)
        real = [line for line in output.splitlines() if line.startswith("[")]
        text = self.ns.netfilter.save(table, counters=True)
        emulated = [line for line in text.splitlines() if line.startswith("[")]
        assert emulated == real, [pair for pair in zip(emulated, real, strict=True) if pair[0] != pair[1]]

    def catch_up(self) -> None:
        """Let the emulator's clock pass as the real one does."""
        time.sleep(0.05)
