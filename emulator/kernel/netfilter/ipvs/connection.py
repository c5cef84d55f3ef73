"""One entry of IPVS's own connection table (`struct ip_vs_conn`): who talks to which service, and who answers.

A template is no connection: it remembers which real server a client is given next time (persistence).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.service import Forwarding

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.service import Destination

FIRST_TIMEOUT = 3.0  # seconds, until its protocol has seen the first packet
INVALIDATED_PORT = 0xFFFF  # of a template whose real server is gone


class IpvsConnection:
    """See the module. Addresses: client, virtual (of the service), destination (of the real server).

    `state` is the protocol's number. `control`: the template that it came of; `controls`: how many came of this one.
    `uses_conntrack`: net.ipv4.vs.conntrack was on when it was made. `no_output`: answers do not pass here.
    """

    __slots__ = (
        "assured", "caddr", "control", "controls", "cport", "daddr", "dead", "deadline", "destination", "dport",
        "forwarding", "inactive", "no_output", "one_packet", "packets", "protocol", "queued", "state", "template",
        "timeout", "uses_conntrack", "vaddr", "vport",
    )  # fmt: skip

    def __init__(
        self, protocol: int, caddr: int, cport: int, vaddr: int, vport: int, daddr: int, dport: int, *,
        template: bool = False, one_packet: bool = False, uses_conntrack: bool = False,
    ) -> None:  # fmt: skip
        self.protocol = protocol
        self.caddr, self.cport = caddr, cport
        self.vaddr, self.vport = vaddr, vport
        self.daddr, self.dport = daddr, dport
        self.template = template
        self.one_packet = one_packet
        self.uses_conntrack = uses_conntrack
        self.destination: Destination | None = None
        self.forwarding = Forwarding.MASQUERADE
        self.control: IpvsConnection | None = None
        self.controls = 0
        self.state = 0
        self.assured = False  # of a template: a connection of its client was established
        self.inactive = True
        self.no_output = False
        self.packets = 0  # to the real server
        self.timeout = FIRST_TIMEOUT
        self.deadline = 0.0
        self.queued = 0.0  # where the table's queue has it
        self.dead = False

    def bind(self, destination: Destination) -> None:
        """Give it its real server (`ip_vs_bind_dest`)."""
        self.destination = destination
        self.forwarding = destination.forwarding
        self.no_output = destination.forwarding is not Forwarding.MASQUERADE
        destination.references += 1
        if self.template:
            destination.persistent += 1
        else:
            destination.inactive += 1
        destination.note_more()

    def unbind(self, now: float) -> None:
        """Take it off its real server's counts (`ip_vs_unbind_dest`)."""
        destination = self.destination
        if destination is None:
            return
        if self.template:
            destination.persistent -= 1
        elif self.inactive:
            destination.inactive -= 1
        else:
            destination.active -= 1
        destination.references -= 1
        destination.idle_since = now
        destination.note_fewer()

    def set_active(self, active: bool) -> None:
        """Count it among its real server's active or inactive connections."""
        if active is not self.inactive:
            return
        self.inactive = not active
        if self.destination is not None:
            step = 1 if active else -1
            self.destination.active += step
            self.destination.inactive -= step

    def assure_template(self) -> None:
        """Its client was answered: the template that it came of outlives it (`ip_vs_control_assure_ct`)."""
        if self.control is not None and self.control.template:
            self.control.assured = True

    @property
    def in_key(self) -> tuple[int, int, int, int, int]:
        """What a client's packets look like: protocol, client, and service."""
        return self.protocol, self.caddr, self.cport, self.vaddr, self.vport

    @property
    def out_key(self) -> tuple[int, int, int, int, int]:
        """What its answers look like: protocol, source and client. Only NAT gives them another source than the VIP."""
        if self.forwarding is Forwarding.MASQUERADE:
            return self.protocol, self.daddr, self.dport, self.caddr, self.cport
        return self.protocol, self.vaddr, self.vport, self.caddr, self.cport
