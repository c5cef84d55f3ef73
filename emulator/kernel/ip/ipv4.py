"""IPv4 of one namespace: the parts that a packet meets between a link and a socket, under one roof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.ip.forward import IpForward
from emulator.kernel.ip.input import IpInput
from emulator.kernel.ip.output import IpOutput

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns


class Ipv4:
    """`receive`, `deliver`, `forward`, `output` and `route_output` are the parts' own methods, bound."""

    def __init__(self, netns: Netns) -> None:
        transmitter = IpOutput(netns)
        forwarder = IpForward(netns, transmitter)
        receiver = IpInput(netns, forwarder)
        self.receive = receiver.receive
        self.deliver = receiver.deliver
        self.forward = forwarder.forward
        self.output = transmitter.output
        self.local_out = transmitter.local_out
        self.transmit = transmitter.transmit
        self.reroute = transmitter.reroute
        self.build = transmitter.build
        self.next_identification = transmitter.next_identification
        self.route_output = netns.routing.output
