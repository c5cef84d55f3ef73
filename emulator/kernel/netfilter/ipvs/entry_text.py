"""The way back from `ipvsadm -L -n -c`: connections and templates, each with its real server and its time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulator.errors import PodwireError, WireError
from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP
from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
from emulator.kernel.netfilter.ipvs.service import PROTOCOL_NAMES, ServiceKey
from emulator.kernel.netfilter.ipvs.tcp import ACTIVE
from emulator.packet.address import ipv4_to_int

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netfilter.ipvs.service import Destination

_PROTOCOLS = {name: number for number, name in PROTOCOL_NAMES.items()} | {"IP": 0}
_HEADS = ("IPVS connection entries", "pro expire ")
_TIME = re.compile(r"(?P<minutes>\d{2,}):(?P<seconds>\d\d)", re.ASCII)
_PLACE = re.compile(r"(?P<address>[\d.]+):(?P<port>\d{1,5})", re.ASCII)
_ESTABLISHED_SCTP = 8
_WORDS = 6


class IpvsEntryError(PodwireError):
    """A line that is no connection; those before it are in the table then."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"line {line}: {message}")


def load_entries(ipvs: Ipvs, text: str) -> int:
    """Enter the connections of a text; return how many. IpvsEntryError names a line that is none.

    One whose real server is not among the services is passed over.
    """
    loaded = 0
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith(_HEADS):
            continue
        try:
            entries.append(_read(ipvs, line.split()))
        except (ValueError, WireError, KeyError):
            raise IpvsEntryError(number, "no entry as `ipvsadm -Lnc` prints it") from None
    # Templates first, so that connections find what they came of.
    for connection in sorted(entries, key=lambda each: not each.template):
        destination = _destination(ipvs, connection)
        if destination is None:
            continue
        active = not connection.inactive
        connection.inactive = True
        connection.bind(destination)
        connection.set_active(active)
        _control(ipvs, connection, destination)
        ipvs.connections.add(connection)
        ipvs.connections.renew(connection)
        if connection.template:
            connection.timeout = float(destination.service.options.persistent)  # from its next connection on
        loaded += 1
    return loaded


def _read(ipvs: Ipvs, words: list[str]) -> IpvsConnection:
    """Read one line's words. ValueError, WireError or KeyError for what is none."""
    if len(words) < _WORDS:
        raise ValueError("too few words")
    protocol = _PROTOCOLS[words[0]]
    left = _TIME.fullmatch(words[1])
    if left is None:
        raise ValueError(words[1])
    state = words[2]
    (caddr, cport), (vaddr, vport), (daddr, dport) = (_place(word) for word in words[3:6])
    template = not cport and (state in ("NONE", "ASSURED"))
    connection = IpvsConnection(
        protocol, caddr, cport, vaddr, vport, daddr, dport,
        template=template, uses_conntrack=bool(ipvs.settings.conntrack),
    )  # fmt: skip
    connection.timeout = float(int(left["minutes"]) * 60 + int(left["seconds"]))
    if template:
        connection.assured = state == "ASSURED"
        return connection
    known = ipvs.protocols[protocol]
    states = {name: number for number, name in known.state_names.items()}
    connection.state = states[state]
    connection.inactive = not _is_active(protocol, connection.state)
    return connection


def _is_active(protocol: int, state: int) -> bool:
    if protocol == TCP:
        return state in ACTIVE
    return protocol == SCTP and state == _ESTABLISHED_SCTP


def _place(word: str) -> tuple[int, int]:
    found = _PLACE.fullmatch(word)
    if found is None or int(found["port"]) > 0xFFFF:
        raise ValueError(word)
    return ipv4_to_int(found["address"]), int(found["port"])


def _destination(ipvs: Ipvs, connection: IpvsConnection) -> Destination | None:
    """Find the real server of an entry among its service's; of a mark, which an entry does not tell, any that fits."""
    services, protocol = ipvs.services, connection.protocol
    candidates = [
        services.get(ServiceKey(protocol, connection.vaddr, connection.vport)),
        services.get(ServiceKey(protocol, connection.vaddr, 0)),
        services.get(ServiceKey(0, 0, 0, connection.vaddr)) if not protocol else None,
        *(each for each in services if each.key.fwmark),
    ]
    places = [(connection.daddr, port) for port in (connection.dport, 0)]
    found = (service.by_address.get(place) for service in candidates if service is not None for place in places)
    return next((each for each in found if each is not None), None)


def _control(ipvs: Ipvs, connection: IpvsConnection, destination: Destination) -> None:
    """Tie a connection of a persistent service to its template, if that is there."""
    service = destination.service
    if connection.template or not service.options.persistent:
        return
    network = connection.caddr & service.options.netmask
    table = ipvs.connections
    template = table.find_template(connection.protocol, network, connection.vaddr, connection.vport)
    template = template or table.find_template(connection.protocol, network, connection.vaddr, 0)
    if template is None and service.key.fwmark:
        template = table.find_template(0, network, service.key.fwmark, 0)
    if template is not None:
        connection.control = template
        template.controls += 1
