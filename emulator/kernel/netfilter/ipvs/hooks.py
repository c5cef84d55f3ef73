"""Where packets meet IPVS: requests at INPUT and OUTPUT, answers at FORWARD, INPUT and OUTPUT (ip_vs_core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import IPVS_FORWARD, IPVS_IN, IPVS_OUT
from emulator.kernel.ip.header import IS_FRAGMENT
from emulator.kernel.netfilter.conntrack.tuple import ICMP
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.ipvs.icmp import Errors
from emulator.kernel.netfilter.ipvs.nfct import uses_old_conntrack
from emulator.kernel.netfilter.ipvs.protocol import Direction
from emulator.kernel.netfilter.ipvs.schedule import PORT_UNREACHABLE, UNREACHABLE, Scheduling
from emulator.kernel.netfilter.ipvs.transmit import Transmitter
from emulator.kernel.skb import PacketType

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netfilter.ipvs.protocol import IpvsProtocol
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

_USERS = {Hook.INPUT: IPVS_IN, Hook.FORWARD: IPVS_FORWARD, Hook.OUTPUT: IPVS_OUT}


class Hooks:
    """The hook functions of one namespace."""

    def __init__(self, ipvs: Ipvs) -> None:
        self._ipvs = ipvs
        self._transmit = Transmitter(ipvs)
        self._scheduling = Scheduling(ipvs)
        self._errors = Errors(ipvs, self._transmit)

    # To the real servers

    def request(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """A packet that may be for a service, from outside or from here (`ip_vs_in_hook`)."""
        if skb.ipvs or skb.route is None or (skb.packet_type is not PacketType.HOST and hook is not Hook.OUTPUT):
            return Verdict.ACCEPT
        if skb.protocol == ICMP:
            return self._errors.request(netns, hook, skb) or Verdict.ACCEPT
        ipvs = self._ipvs
        protocol = ipvs.protocols.get(skb.protocol)
        if protocol is None:
            return Verdict.ACCEPT
        connection = ipvs.connections.find_in(skb.protocol, skb.saddr, skb.sport, skb.daddr, skb.dport)
        if connection is not None:
            kept = self._keep(netns, skb, protocol, connection)
            if kept is Verdict.DROP:
                return kept
            if kept is Verdict.STOLEN:  # it was ended: as if there had been none
                connection = None
        if connection is None:
            found = self._scheduling.try_to_schedule(skb, protocol)
            if isinstance(found, Verdict):
                return found
            connection = found
        elif skb.trace is not None:
            self._trace(netns, skb, connection, "request")
        self._scheduling.count_in(connection, skb)
        protocol.advance(connection, Direction.INPUT, skb)
        verdict = self._transmit.send(hook, skb, connection)
        connection.packets += 1
        ipvs.put(connection)
        return verdict

    def _keep(self, netns: Netns, skb: Skb, protocol: IpvsProtocol, connection: IpvsConnection) -> Verdict:
        """Whether a packet goes on with its connection (ACCEPT), is dropped, or is to be scheduled anew (STOLEN)."""
        ipvs, settings = self._ipvs, self._ipvs.settings
        destination = connection.destination
        again = old = False
        if protocol.begins(skb):
            if settings.expire_nodest_conn and destination is not None and not destination.weight:
                again, old = True, uses_old_conntrack(connection, skb)
            elif settings.conn_reuse_mode and protocol.is_over(connection, settings.conn_reuse_mode):
                old = uses_old_conntrack(connection, skb)
                again = not connection.controls or not old
        if not again and destination is not None and not destination.available:
            if not settings.expire_nodest_conn:
                netns.drop(skb, DropReason.IPVS_SERVER_GONE, server=str(destination))
                return Verdict.DROP
            again, old = True, uses_old_conntrack(connection, skb)
        if not again:
            return Verdict.ACCEPT
        if not old:
            connection.uses_conntrack = False  # the entry that the packet has just been given is not the old one
        if not connection.controls:
            ipvs.expire(connection)
        if old:
            netns.drop(skb, DropReason.IPVS_OLD_CONNTRACK, server=str(destination))
            return Verdict.DROP
        return Verdict.STOLEN

    def forward_icmp(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """An ICMP error about an answer, on its way to a client's service that is not local (`ip_vs_forward_icmp`)."""
        if skb.protocol != ICMP:
            return Verdict.ACCEPT
        return self._errors.request(netns, hook, skb) or Verdict.ACCEPT

    # Back to the clients

    def reply(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """A packet that may be an answer of a real server (`ip_vs_out_hook`)."""
        if skb.ipvs or skb.route is None:
            return Verdict.ACCEPT
        ipvs = self._ipvs
        if skb.protocol == ICMP:
            verdict = self._gather(netns, hook, skb) or self._errors.reply(netns, hook, skb)
            return verdict or Verdict.ACCEPT
        protocol = ipvs.protocols.get(skb.protocol)
        if protocol is None:
            return Verdict.ACCEPT
        verdict = self._gather(netns, hook, skb)
        if verdict is not None:
            return verdict
        connection = ipvs.connections.find_out(skb.protocol, skb.saddr, skb.sport, skb.daddr, skb.dport)
        if connection is None:
            return self._unknown(netns, skb, protocol)
        if skb.trace is not None:
            self._trace(netns, skb, connection, "reply")
        verdict = self._transmit.restore(netns, hook, skb, connection)
        if verdict is not Verdict.ACCEPT:
            return verdict
        self._scheduling.count_out(connection, skb)
        protocol.advance(connection, Direction.OUTPUT, skb)
        self._transmit.mark_reply(skb, connection)
        ipvs.put(connection)
        return Verdict.ACCEPT

    @staticmethod
    def _gather(netns: Netns, hook: Hook, skb: Skb) -> Verdict | None:
        """Put a fragmented packet together; STOLEN while fragments are missing (`ip_vs_gather_frags`)."""
        if not skb.fragment & IS_FRAGMENT:
            return None
        return Verdict.STOLEN if netns.reassembler.add(skb, _USERS[hook]) is None else None

    def _unknown(self, netns: Netns, skb: Skb, protocol: IpvsProtocol) -> Verdict:
        """A packet of no connection: a real server may be told so, with net.ipv4.vs.nat_icmp_send."""
        if not self._ipvs.settings.nat_icmp_send or protocol.is_reset(skb):
            return Verdict.ACCEPT
        if not self._ipvs.services.is_server(skb.protocol, skb.saddr, skb.sport):
            return Verdict.ACCEPT
        netns.icmp.send_error(skb, UNREACHABLE, PORT_UNREACHABLE)
        netns.drop(skb, DropReason.IPVS_NO_CONNECTION)
        return Verdict.DROP

    def _trace(self, netns: Netns, skb: Skb, connection: IpvsConnection, what: str) -> None:
        self._scheduling.trace(netns, skb, connection, what)
