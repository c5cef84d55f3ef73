"""A listening socket: connections whose handshake goes on, and those that wait to be accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.socket.listener import Listener
from emulator.kernel.tcp import output
from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.tcp.input import negotiate
from emulator.kernel.tcp.state import State
from emulator.kernel.trace import StepKind
from emulator.packet.address import BROADCAST_IPV4, is_multicast
from emulator.packet.tcp import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb
    from emulator.kernel.tcp.protocol import Tcp
    from emulator.kernel.tcp.segment import Segment


class TcpListener(Listener[TcpSocket]):
    """A listener; woken when a connection can be accepted. `backlog` bounds both of its queues."""

    __slots__ = ("_half_open", "tcp")

    protocol = "tcp"

    def __init__(self, tcp: Tcp, backlog: int) -> None:
        super().__init__(tcp.netns, backlog)
        self.tcp = tcp
        self._half_open: dict[TcpSocket, None] = {}

    def detach(self) -> None:
        """Leave the tables, silently."""
        super().detach()
        self._half_open.clear()

    def arrive(self, segment: Segment, skb: Skb, initial: int | None = None) -> DropReason | None:
        """Take a segment that belongs to no connection (RFC 9293 section 3.10.7.2); `initial` follows a TIME_WAIT."""
        flags = segment.flags
        if flags & RST:
            return DropReason.TCP_FLAGS
        if flags & ACK:
            self.tcp.refuse(segment, skb, DropReason.TCP_FLAGS)
            return None
        if not flags & SYN or flags & FIN or skb.daddr == BROADCAST_IPV4 or is_multicast(skb.daddr):
            return DropReason.TCP_FLAGS
        if not self.has_room or len(self._half_open) > self.backlog:
            return DropReason.TCP_LISTEN_OVERFLOW
        return self._answer_syn(segment, skb, initial)

    def established(self, connection: TcpSocket) -> None:
        """A handshake is complete."""
        del self._half_open[connection]
        super().established(connection)

    def forget(self, connection: TcpSocket) -> None:
        """A connection ended; if its handshake was complete it can still be accepted."""
        self._half_open.pop(connection, None)

    def _waiting(self) -> Sequence[TcpSocket]:
        return [*self._ready, *self._half_open]

    def _give_port_back(self) -> None:
        self.tcp.remove_listener(self)

    def _answer_syn(self, segment: Segment, skb: Skb, initial: int | None) -> DropReason | None:
        route = self.netns.ip.route_output(
            skb.saddr, saddr=skb.daddr, protocol=output.PROTOCOL, ports=(skb.dport, skb.sport)
        )
        if isinstance(route, DropReason):
            return route
        connection = TcpSocket(self.tcp, route, (skb.daddr, skb.dport), (skb.saddr, skb.sport))
        connection.reuse_address = self.reuse_address
        connection.owner, connection.mark, connection.transparent = self.owner, self.mark, self.transparent
        connection.tx.begin(self.tcp.initial_sequence(connection.key) if initial is None else initial)
        connection.timestamps, connection.sack, connection.scaling = self.tcp.offers()
        negotiate(connection, segment)
        connection.tx.window = connection.tx.max_window = segment.window
        connection.tx.wl1 = connection.rx.next - 1
        connection.listener = self
        connection.state = State.SYN_RECEIVED
        self._half_open[connection] = None
        self.tcp.add(connection)
        self.tcp.ports.join(connection)
        if skb.trace is not None:
            skb.step(self.netns, StepKind.REPLY, why="TCP SYN, ACK")
        output.send_syn(connection, skb.trace)
        return None
