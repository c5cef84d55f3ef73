"""A router that balances: clients at link a, real servers at b and c, services on the addresses of a dummy link."""

from __future__ import annotations

from emulator.kernel.link.dummy import Dummy
from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
from emulator.kernel.netfilter.ipvs.service import Destination, Service, ServiceKey
from emulator.packet.address import format_ipv4, ipv4_to_int
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.router import Router

CLIENT, VIP = "10.0.1.2", "10.96.0.10"
SERVERS = ("10.0.2.2", "10.0.2.3", "10.0.3.2")
MASQUERADE = "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n"


class Balancer(Router):
    """The addresses 10.96.0.10 and .11 are its own, as kube-proxy's kube-ipvs0 makes them."""

    def __init__(self, lines: str = "", rules: str = "", *, conntrack: bool = True) -> None:
        super().__init__(rules)
        dummy = Dummy(self.ns, "kube-ipvs0", 0x020000000099)
        for address in ("10.96.0.10", "10.96.0.11"):
            self.ns.add_address(dummy, ipv4_to_int(address), 32)
        self.ns.sysctl.set("net.ipv4.vs.conntrack", int(conntrack))
        self.ipvs = self.ns.netfilter.ipvs
        self.run(lines)

    def run(self, lines: str) -> None:
        """Carry out `ipvsadm` lines."""
        self.ipvs.run(lines)

    def service(self, address: str = VIP, port: int = 80, protocol: int = 6) -> Service:
        """Return a service that is there."""
        service = self.ipvs.services.get(ServiceKey(protocol, ipv4_to_int(address), port))
        assert service is not None
        return service

    def server(self, address: str, port: int = 8080) -> Destination:
        """Return a real server of the service."""
        return self.service().by_address[ipv4_to_int(address), port]

    def open(self, sport: int, *, flags: int = wire.SYN, client: str = CLIENT) -> str:
        """Send a segment to the service; return the address that it left for, "" if it did not leave."""
        out = self.send("a", wire.tcp(client, sport, VIP, 80, flags, 1))
        return wire.ends(out[0][1])[2] if out and out[0][0] != "a" else ""

    def picks(self, count: int, *, client: str = CLIENT, first: int = 10_000) -> str:
        """Open so many connections; return the last digits of the real servers that they went to."""
        return "".join(self.open(first + each, client=client).rpartition(".")[2] for each in range(count))

    def table(self) -> list[str]:
        """The entries of the connection table, one line each."""
        return [describe(each) for each in self.ipvs.connections]


def describe(connection: IpvsConnection) -> str:
    """Say who is who, and the state."""
    client = f"{format_ipv4(connection.caddr)}:{connection.cport}"
    virtual = f"{format_ipv4(connection.vaddr)}:{connection.vport}"
    return f"{client} {virtual} {format_ipv4(connection.daddr)}:{connection.dport} {connection.state}"


def service(scheduler: str, *weights: int, port: int = 8080) -> str:
    """Lines that make the service with the first of `SERVERS`, of these weights; the last one added is the first."""
    lines = [f"-A -t {VIP}:80 -s {scheduler}"]
    for number, weight in enumerate(weights):
        lines.append(f"-a -t {VIP}:80 -r 10.0.2.{2 + number}:{port} -m -w {weight}")
    return "\n".join(lines)
