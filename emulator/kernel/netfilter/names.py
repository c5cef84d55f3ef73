"""How `iptables -L` prints what a rule tests: by the names of /etc/services and /etc/protocols, or by number (-n)."""

from __future__ import annotations

from msgspec import Struct

from emulator.kernel.netfilter.options import format_network, format_protocol
from emulator.kernel.netfilter.service_names import service_name
from emulator.packet.address import format_ipv4

_HOSTS = {0x7F000001: "localhost"}  # /etc/hosts
_NAMES = {0: "default", 0x7F000000: "loopback", 0xA9FE0000: "link-local", **_HOSTS}  # /etc/networks


class Names(Struct, frozen=True):
    """What a listing of one rule goes by: `numeric` is -n, `protocol` the rule's -p, whose services are meant."""

    numeric: bool
    protocol: int = 0

    def port(self, port: int) -> str:
        """Print a port."""
        if self.numeric:
            return str(port)
        return service_name(port, format_protocol(self.protocol)) or str(port)

    def port_range(self, low: int, high: int) -> str:
        """Print one port, or `low:high`."""
        return self.port(low) if low == high else f"{self.port(low)}:{self.port(high)}"

    def protocol_name(self) -> str:
        """Print the rule's protocol."""
        if self.numeric:
            return str(self.protocol)
        return format_protocol(self.protocol) if self.protocol else "all"

    def network(self, address: int, mask: int) -> str:
        """Print a network: a host without its length."""
        text = format_network(address, mask, host_length=False)
        if self.numeric:
            return text
        if mask == 0:
            return "anywhere"
        name = _NAMES.get(address)
        return text if name is None else name + text.removeprefix(format_ipv4(address))
