"""New connections: which service a packet is for, which real server gets it, or what if none does (ip_vs_core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP, UDP
from emulator.kernel.netfilter.hook import Verdict
from emulator.kernel.netfilter.ipvs.connection import INVALIDATED_PORT, IpvsConnection
from emulator.kernel.netfilter.ipvs.control import FTP, FTP_DATA
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netfilter.ipvs.protocol import IpvsProtocol
    from emulator.kernel.netfilter.ipvs.service import Destination, Service
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

UNREACHABLE, PORT_UNREACHABLE = 3, 3
IP = 0  # the protocol of a firewall mark's template


class Scheduling:
    """The scheduling of one namespace."""

    def __init__(self, ipvs: Ipvs) -> None:
        self._ipvs = ipvs
        self._netns = ipvs.netns

    def try_to_schedule(self, skb: Skb, protocol: IpvsProtocol) -> IpvsConnection | Verdict:
        """Make a connection for a packet that has none; ACCEPT: it is none of ours; DROP: it has been counted."""
        ipvs = self._ipvs
        if not protocol.is_whole(skb):
            self._netns.drop(skb, DropReason.INVALID_PROTO)
            return Verdict.DROP
        settings = ipvs.settings
        sloppy = (skb.protocol == TCP and settings.sloppy_tcp) or (skb.protocol == SCTP and settings.sloppy_sctp)
        if not protocol.may_open(skb, sloppy=bool(sloppy)):
            return Verdict.ACCEPT
        service = ipvs.services.find(skb.mark, skb.protocol, skb.daddr, skb.dport)
        if service is None:
            return Verdict.ACCEPT
        if ipvs.overloaded():
            self._netns.drop(skb, DropReason.IPVS_DROP_PACKET, service=str(service.key))
            return Verdict.DROP
        return self._schedule(service, skb)

    def _schedule(self, service: Service, skb: Skb) -> IpvsConnection | Verdict:
        """`ip_vs_schedule`."""
        if skb.sport == FTP_DATA:  # of a real server that opens a data connection
            return Verdict.ACCEPT
        link = skb.in_link
        if (link is None or link.loopback) and self._ipvs.connections.find_in(
            skb.protocol, skb.daddr, skb.dport, skb.saddr, skb.sport
        ) is not None:  # the answer of a real server on this machine
            return Verdict.ACCEPT
        if service.options.persistent:
            return self._schedule_persistent(service, skb)
        if not service.key.fwmark and skb.dport != service.key.port:
            return self._leave(service, skb)
        destination = service.scheduler.schedule(skb.saddr, skb.sport, skb.daddr)
        if destination is None:
            return self._leave(service, skb)
        connection = self._new(service, skb, destination, destination.port or skb.dport)
        if skb.trace is not None:
            self.trace(self._netns, skb, connection, "schedule")
        return connection

    def _schedule_persistent(self, service: Service, skb: Skb) -> IpvsConnection | Verdict:
        """Give a client the real server that its template says (`ip_vs_sched_persist`)."""
        ipvs, key = self._ipvs, service.key
        network = skb.saddr & service.options.netmask
        protocol, vaddr, vport = skb.protocol, skb.daddr, 0
        if skb.dport == key.port:
            vport = 0 if key.port == FTP else key.port
        elif key.fwmark:
            protocol, vaddr = IP, key.fwmark
        template = ipvs.connections.find_template(protocol, network, vaddr, vport)
        known = template is not None and self._is_good(template)
        if template is None or not known:
            destination = service.scheduler.schedule(skb.saddr, skb.sport, skb.daddr)
            if destination is None:
                return self._leave(service, skb)
            dport = destination.port if skb.dport == key.port and key.port != FTP else 0
            template = IpvsConnection(
                protocol, network, 0, vaddr, vport, destination.address, dport,
                template=True, uses_conntrack=bool(ipvs.settings.conntrack),
            )  # fmt: skip
            template.timeout = float(service.options.persistent)
            template.bind(destination)
            ipvs.connections.add(template)
        chosen = template.destination
        assert chosen is not None  # a template without one is not good
        dport = chosen.port if skb.dport == key.port and chosen.port else skb.dport
        connection = self._new(service, skb, chosen, dport)
        connection.control = template
        template.controls += 1
        ipvs.put(template)
        if skb.trace is not None:
            self.trace(self._netns, skb, connection, "persistent" if known else "schedule")
        return connection

    def _is_good(self, template: IpvsConnection) -> bool:
        """Whether a template's real server may still be given; else it is made unfindable (`ip_vs_check_template`)."""
        destination = template.destination
        kept = not self._ipvs.settings.expire_quiescent_template
        if destination is not None and destination.available and (kept or destination.weight):
            return True
        if template.vport != INVALIDATED_PORT:
            self._ipvs.connections.remove(template)
            template.dport = template.vport = INVALIDATED_PORT
            template.cport = 0
            self._ipvs.connections.add(template)
        return False

    def _new(self, service: Service, skb: Skb, destination: Destination, dport: int) -> IpvsConnection:
        """`ip_vs_conn_new`."""
        ipvs = self._ipvs
        connection = IpvsConnection(
            skb.protocol, skb.saddr, skb.sport, skb.daddr, skb.dport, destination.address, dport,
            one_packet=service.options.one_packet and skb.protocol == UDP,
            uses_conntrack=bool(ipvs.settings.conntrack),
        )  # fmt: skip
        connection.bind(destination)
        if not connection.one_packet:
            ipvs.connections.add(connection)
        now = ipvs.now
        destination.statistics.connection(now)
        service.statistics.connection(now)
        ipvs.statistics.connection(now)
        return connection

    def _leave(self, service: Service, skb: Skb) -> Verdict:
        """No real server takes it: the client is told, whatever the protocol (`ip_vs_leave`)."""
        if service.key.port == FTP and skb.dport != FTP:
            return Verdict.ACCEPT
        self._netns.icmp.send_error(skb, UNREACHABLE, PORT_UNREACHABLE)
        self._netns.drop(
            skb, DropReason.IPVS_NO_SERVER, service=str(service.key), scheduler=service.options.scheduler,
            servers=len(service.destinations),
        )  # fmt: skip
        return Verdict.DROP

    # Counting and telling

    def count_in(self, connection: IpvsConnection, skb: Skb) -> None:
        """Count a packet to a real server that still is one (`ip_vs_in_stats`)."""
        destination = connection.destination
        if destination is not None and destination.available:
            now, size = self._ipvs.now, len(skb.data) - skb.network
            destination.statistics.packet_in(now, size)
            destination.service.statistics.packet_in(now, size)
            self._ipvs.statistics.packet_in(now, size)

    def count_out(self, connection: IpvsConnection, skb: Skb) -> None:
        """Count an answer (`ip_vs_out_stats`)."""
        destination = connection.destination
        if destination is not None and destination.available:
            now, size = self._ipvs.now, len(skb.data) - skb.network
            destination.statistics.packet_out(now, size)
            destination.service.statistics.packet_out(now, size)
            self._ipvs.statistics.packet_out(now, size)

    def trace(self, netns: Netns, skb: Skb, connection: IpvsConnection, what: str) -> None:
        """Say what IPVS does with a packet. Call it only for a traced one."""
        destination = connection.destination
        service = None if destination is None else destination.service
        names = self._ipvs.protocols[connection.protocol].state_names
        skb.step(
            netns,
            StepKind.IPVS,
            what=what,
            service="" if service is None else str(service.key),
            scheduler="" if service is None else service.options.scheduler,
            server=f"{format_ipv4(connection.daddr)}:{connection.dport}",
            state=names[connection.state],
        )
