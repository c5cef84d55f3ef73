"""What `ipvsadm` 1.31 prints of services, connections and timeouts (ipvsadm.c, print_service_entry and print_conn)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP, UDP
from emulator.kernel.netfilter.ipvs.error import NO_SERVICE, IpvsError
from emulator.kernel.netfilter.ipvs.service import ALL_ONES, PROTOCOL_NAMES, Forwarding
from emulator.kernel.netfilter.ipvs.tcp import TcpState
from emulator.kernel.netfilter.ipvs.udp import NORMAL
from emulator.kernel.netfilter.service_names import service_name
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netfilter.ipvs.service import Destination, Service, ServiceKey
    from emulator.kernel.netfilter.ipvs.statistics import Counters

VERSION = "1.2.1"  # of IPVS
TABLE_SIZE = 4096  # buckets of the kernel's connection table, as it is built by default
_LISTED = 1  # exit status of a list of what is not there

_OPTIONS = {TCP: "-t", UDP: "-u", SCTP: "--sctp-service"}
_WORDS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_SWITCHES = {
    Forwarding.MASQUERADE: "-m",
    Forwarding.ROUTE: "-g",
    Forwarding.TUNNEL: "-i",
}
_REMOTE = "  -> RemoteAddress:Port"
_LOCAL = "Prot LocalAddress:Port"
_FLAG_NAMES = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}
_PLAIN_FLAGS = ("flag-1", "flag-2", "flag-3")
_TUNNEL_TYPE = "ipip"
# The least number that is printed in a unit, the divisor, the unit.
_UNITS = ((10**14, 10**12, "T"), (10**11, 10**9, "G"), (10**9, 10**6, "M"), (10**8, 10**3, "K"))


class Listing:
    """Prints the services of one namespace. `said`: the options by their long names, such as numeric or stats."""

    def __init__(self, ipvs: Ipvs, said: Collection[str] = ()) -> None:
        self._ipvs = ipvs
        self._said = said
        self._numeric = "numeric" in said

    def all(self) -> str:
        """`-L`: the head and all services."""
        head = f"IP Virtual Server version {VERSION} (size={TABLE_SIZE})\n"
        return head + "".join(self._title()) + "".join(map(self._service, self._sorted()))

    def one(self, key: ServiceKey) -> str:
        """`-L -t ADDRESS`. IpvsError if it is not there."""
        service = self._ipvs.services.get(key)
        if service is None:
            raise IpvsError(NO_SERVICE, _LISTED)
        return "".join(self._title()) + self._service(service)

    def save(self) -> str:
        """`-S`: lines that make the services again; without thresholds, which the real tool does not save."""
        return "".join(line for service in self._sorted() for line in self._rules(service))

    def _sorted(self) -> list[Service]:
        services = list(self._ipvs.services)
        if "nosort" in self._said:
            return services
        return sorted(services, key=lambda each: (each.key.fwmark, *each.key[:3]))

    def _destinations(self, service: Service) -> list[Destination]:
        if "nosort" in self._said:
            return service.destinations
        return sorted(service.destinations, key=lambda each: (each.address, each.port))

    # Titles

    def _title(self) -> Iterator[str]:
        numbers = {
            "stats": ("%8s", "Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"),
            "rate": ("%8s", "CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"),
            "thresholds": ("%-10s", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"),
        }
        for option, (form, *names) in numbers.items():
            if option in self._said:
                yield f"{_LOCAL:<33s} {' '.join(form % name for name in names)}\n{_REMOTE}\n"
                return
        if "persistent-conn" in self._said:
            titles = f"{'Weight':<9s} {'PersistConn':<11s} {'ActiveConn':<10s} {'InActConn':<10s}"
            yield f"{_LOCAL:<33s} {titles}\n{_REMOTE}\n"
            return
        tunnel = "TunnelInfo    " if "tun-info" in self._said else ""
        yield f"{_LOCAL} Scheduler Flags\n{_REMOTE}           Forward {tunnel}Weight ActiveConn InActConn\n"

    # Services

    def _service(self, service: Service) -> str:
        name = self._name(service)
        if "stats" in self._said:
            lines = [f"{name:<33s}{self._counters(service.statistics.totals())}\n"]
        elif "rate" in self._said:
            lines = [f"{name:<33s}{self._counters(service.statistics.rates(self._ipvs.now))}\n"]
        else:
            lines = [f"{name} {self._flags(service)}\n"]
        lines += [self._destination(service, each) for each in self._destinations(service)]
        return "".join(lines)

    def _name(self, service: Service) -> str:
        key = service.key
        if key.fwmark:
            return f"FWM  {key.fwmark}"
        return f"{PROTOCOL_NAMES[key.protocol]:<4s} {self._address(key.address, key.port, key.protocol)}"[:33]

    def _address(self, address: int, port: int, protocol: int) -> str:
        """An address and a port; with the port's name unless numbers are asked for. Addresses have no names here."""
        name = None if self._numeric else service_name(port, _WORDS.get(protocol, ""))
        return f"{format_ipv4(address)}:{port if name is None else name}"

    @staticmethod
    def _flags(service: Service) -> str:
        options = service.options
        words = [options.scheduler]
        if options.scheduler_flags:
            words.append(f"({_scheduler_flags(service)})")
        if options.persistent:
            words.append(f"persistent {options.persistent}")
            if options.netmask != ALL_ONES:
                words.append(f"mask {format_ipv4(options.netmask)}")
        if options.one_packet:
            words.append("ops")
        return " ".join(words)

    def _rules(self, service: Service) -> Iterator[str]:
        key, options = service.key, service.options
        address = self._address(key.address, key.port, key.protocol) if not key.fwmark else ""
        name = f"-f {key.fwmark}" if key.fwmark else f"{_OPTIONS[key.protocol]} {address}"
        words = [f"-A {name} -s {options.scheduler}"]
        if options.persistent:
            words.append(f"-p {options.persistent}")
            if options.netmask != ALL_ONES:
                words.append(f"-M {format_ipv4(options.netmask)}")
        if options.one_packet:
            words.append("-o")
        if options.scheduler_flags:
            words.append(f"-b {_scheduler_flags(service)}")
        yield " ".join(words) + "\n"
        for each in self._destinations(service):
            tunnel = f" --tun-type {_TUNNEL_TYPE}" if each.forwarding is Forwarding.TUNNEL else ""
            server = self._address(each.address, each.port, key.protocol)
            yield f"-a {name} -r {server} {_SWITCHES[each.forwarding]} -w {each.weight}{tunnel}\n"

    # Real servers

    def _destination(self, service: Service, each: Destination) -> str:
        start = f"  -> {self._address(each.address, each.port, service.key.protocol)[:28]:<28s}"
        connections = f"{each.active:<10d} {each.inactive:<10d}"
        if "stats" in self._said:
            return f"{start}{self._counters(each.statistics.totals())}\n"
        if "rate" in self._said:
            rates = each.statistics.rates(self._ipvs.now)
            packets = f"{rates.connections:8d} {rates.packets_in:8d} {rates.packets_out:8d}"
            return f"{start} {packets}{self._number(rates.bytes_in)}{self._number(rates.bytes_out)}\n"
        if "thresholds" in self._said:
            return f"{start} {each.upper_threshold:<10d} {each.lower_threshold:<10d} {connections}\n"
        if "persistent-conn" in self._said:
            return f"{start} {each.weight:<9d} {each.persistent:<11d} {connections}\n"
        tunnel = ""
        if "tun-info" in self._said:
            tunnel = f"{_TUNNEL_TYPE if each.forwarding is Forwarding.TUNNEL else 'n/a':<13s} "
        return f"{start} {each.forwarding.value:<7s} {tunnel}{each.weight:<6d} {connections}\n"

    def _counters(self, counters: Counters) -> str:
        numbers = (counters.connections, counters.packets_in, counters.packets_out)
        return "".join(map(self._number, (*numbers, counters.bytes_in, counters.bytes_out)))

    def _number(self, value: int) -> str:
        """A number in nine columns, with a unit if it is large; wider with --exact (`print_largenum`)."""
        if "exact" in self._said:
            return f"{value:{max(9, len(str(value)) + 1)}d}"
        for least, divisor, unit in _UNITS:
            if value >= least:
                return f"{value // divisor:8d}{unit}"
        return f"{value:9d}"

    # Connections

    def connections(self) -> str:
        """`-L -c`: templates first; the kernel's order is that of its hash."""
        columns = f"{'state':<11s} {'source':<18s} {'virtual':<18s} "
        columns += (
            f"{'destination':<18s} {'pe name':<16s} pe_data" if "persistent-conn" in self._said else "destination"
        )
        lines = ["IPVS connection entries\n", f"pro expire {columns}\n"]
        lines += map(self._connection, self._ipvs.connections)
        return "".join(lines)

    def _connection(self, each: IpvsConnection) -> str:
        protocol = each.protocol
        seconds = max(0, int(each.deadline - self._ipvs.now))
        ends = f"{self._address(each.caddr, each.cport, protocol):<18s} "
        ends += f"{self._address(each.vaddr, each.vport, protocol):<18s} "
        ends += self._address(each.daddr, each.dport, protocol)
        expires = f"{seconds // 60:02d}:{seconds % 60:02d}"
        state = self._state(each)
        return f"{PROTOCOL_NAMES.get(protocol, 'IP'):<3s} {expires:<6s} {state:<11s} {ends}\n"

    def _state(self, each: IpvsConnection) -> str:
        if each.template:
            return "ASSURED" if each.assured else "NONE"
        return self._ipvs.protocols[each.protocol].state_names[each.state]

    def timeouts(self) -> str:
        """`-L --timeout`."""
        tcp, udp = self._ipvs.tcp.timeouts, self._ipvs.udp.timeouts
        seconds = (tcp[TcpState.ESTABLISHED], tcp[TcpState.FIN_WAIT], udp[NORMAL])
        return f"Timeout (tcp tcpfin udp): {' '.join(str(int(each)) for each in seconds)}\n"


def _scheduler_flags(service: Service) -> str:
    names = _FLAG_NAMES.get(service.options.scheduler, _PLAIN_FLAGS)
    return ",".join(name for bit, name in enumerate(names) if service.options.scheduler_flags >> bit & 1)
