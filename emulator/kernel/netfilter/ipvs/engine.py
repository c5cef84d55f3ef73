"""The IPVS of one namespace: services, connections, settings and hooks under one roof.

The hooks are there while there are services (`ip_vs_register_hooks`), at the places of ip_vs_core.c's `ip_vs_ops4`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP, UDP, Tuple
from emulator.kernel.netfilter.hook import Hook, Priority
from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
from emulator.kernel.netfilter.ipvs.control import Services
from emulator.kernel.netfilter.ipvs.hooks import Hooks
from emulator.kernel.netfilter.ipvs.protocol import IpvsProtocol
from emulator.kernel.netfilter.ipvs.sctp import IpvsSctp
from emulator.kernel.netfilter.ipvs.settings import ALWAYS, Settings
from emulator.kernel.netfilter.ipvs.statistics import Statistics
from emulator.kernel.netfilter.ipvs.table import ConnectionTable
from emulator.kernel.netfilter.ipvs.tcp import IpvsTcp
from emulator.kernel.netfilter.ipvs.udp import IpvsUdp
from emulator.packet.address import AF_INET

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter

_EXPIRE_LATER = 60.0  # seconds, for a template that connections still came of
_NAMES = frozenset({"ip_vs_reply", "ip_vs_request", "ip_vs_forward_icmp"})


class Ipvs:
    """See the module. `run` takes `ipvsadm` command lines; the `ipvsadm` command of `exec` prints what is here."""

    def __init__(self, netfilter: Netfilter) -> None:
        self.netfilter = netfilter
        self.netns = netfilter.netns
        self.settings = Settings(self.netns.sysctl)
        self.services = Services(self.netns)
        self.tcp = IpvsTcp(lambda: self.settings.secure_tcp == ALWAYS)
        self.udp = IpvsUdp()
        self.sctp = IpvsSctp()
        self.protocols: dict[int, IpvsProtocol] = {TCP: self.tcp, UDP: self.udp, SCTP: self.sctp}
        self.connections = ConnectionTable(self.netns.kernel, self.expire)
        self.statistics = Statistics(self.now)
        self._hooks = Hooks(self)
        self._registered = False
        self._drop_counter = 0

    @property
    def now(self) -> float:
        """The machine's time."""
        return self.netns.kernel.now

    def run(self, lines: str | Iterable[str]) -> None:
        """Carry out `ipvsadm` command lines, with or without the word `ipvsadm`; blank ones and comments are none.

        IpvsRunError names a line that cannot be carried out: it changed nothing, the lines before it are done.
        """
        from emulator.kernel.netfilter.ipvs.command import run

        run(self, lines.splitlines() if isinstance(lines, str) else lines)

    def services_changed(self) -> None:
        """Be there for packets while there are services. Whoever adds or deletes one calls this."""
        wanted = len(self.services) > 0
        if wanted is self._registered:
            return
        self._registered = wanted
        if not wanted:
            self.netfilter.unregister(_NAMES)
            return
        register, hooks = self.netfilter.register, self._hooks
        register(Hook.INPUT, Priority.NAT_SRC - 2, "ip_vs_reply", hooks.reply)
        register(Hook.INPUT, Priority.NAT_SRC - 1, "ip_vs_request", hooks.request)
        register(Hook.OUTPUT, Priority.NAT_DST + 1, "ip_vs_reply", hooks.reply)
        register(Hook.OUTPUT, Priority.NAT_DST + 2, "ip_vs_request", hooks.request)
        register(Hook.FORWARD, 99, "ip_vs_forward_icmp", hooks.forward_icmp)
        register(Hook.FORWARD, 100, "ip_vs_reply", hooks.reply)

    def overloaded(self) -> bool:
        """Whether net.ipv4.vs.drop_packet wants this new connection's packet dropped (`ip_vs_todrop`)."""
        if self.settings.drop_packet != ALWAYS or self.settings.drop_rate <= 0:
            return False
        self._drop_counter -= 1
        if self._drop_counter > 0:
            return False
        self._drop_counter = self.settings.drop_rate
        return True

    # Connections

    def put(self, connection: IpvsConnection) -> None:
        """A packet is through with a connection: its timeout begins anew (`ip_vs_conn_put`)."""
        if connection.one_packet:
            self.expire(connection)
        else:
            self.connections.renew(connection)

    def expire(self, connection: IpvsConnection) -> None:
        """End a connection; a template that others came of stays a minute longer (`ip_vs_conn_expire`)."""
        if connection.dead:
            return
        if connection.controls:
            connection.timeout = _EXPIRE_LATER
            self.connections.renew(connection)
            return
        connection.dead = True
        self.connections.remove(connection)
        if connection.control is not None:
            connection.control.controls -= 1
        if connection.uses_conntrack and not connection.one_packet:
            self._drop_conntrack(connection)
        connection.unbind(self.now)

    def _drop_conntrack(self, connection: IpvsConnection) -> None:
        """Its conntrack entry goes too: it leads to the old real server (`ip_vs_conn_drop_conntrack`)."""
        if not connection.cport:
            return
        conntrack = self.netfilter.conntrack
        found = conntrack.find(
            Tuple(AF_INET, connection.protocol, connection.caddr, connection.vaddr, connection.cport, connection.vport)
        )
        if found is not None:
            conntrack.delete(found[0])

    def close(self) -> None:
        """Let go of connections and their timer, because the namespace goes away."""
        self.connections.clear()
