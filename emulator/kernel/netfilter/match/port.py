"""The ports of TCP, UDP and SCTP: `-m tcp`, `-m udp` and `-m sctp` share --sport and --dport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import format_port_range, parse_port_range
from emulator.kernel.netfilter.service_names import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Option, Options
    from emulator.kernel.skb import Skb

PORT_OPTIONS = {"--sport": 1, "--source-port": 1, "--dport": 1, "--destination-port": 1}
FRAGMENT_OFFSET = 0x1FFF


class Ports(Struct, frozen=True):
    """An inclusive range of ports."""

    low: int
    high: int
    inverted: bool = False

    @classmethod
    def read(cls, options: Options, name: str, alias: str) -> Ports | None:
        """Return the range that an option has, under either of its names."""
        option: Option | None = options.get(name)
        other = options.get(alias)
        if option is not None and other is not None:
            raise RuleError(f'{options.owner}: option "{alias}" can only be used once.')
        option = option or other
        if option is None:
            return None
        return cls(*_read_range(option.value, options.owner), option.inverted)

    def format(self, name: str) -> str:
        """Print it as an option."""
        return f"{'! ' if self.inverted else ''}{name} {format_port_range(self.low, self.high)}"

    def hold(self, port: int) -> bool:
        """Whether a port is in the range, or out of it if inverted."""
        return (self.low <= port <= self.high) is not self.inverted

    @property
    def exact(self) -> int | None:
        """The port, if it is just one."""
        return self.low if self.low == self.high and not self.inverted else None


def _read_range(text: str, owner: str) -> tuple[int, int]:
    """Read a range as the match does: that of udp takes a service of any protocol."""
    return parse_port_range(text, loose=True) if owner == "udp" else parse_port_range(text, protocol=owner)


class PortMatch(Match, frozen=True):
    """What the three have in common. `foreign`: of a rule with `! -p tcp`, which tests what is where ports would be."""

    source: Ports | None = None
    destination: Ports | None = None
    foreign: bool = False

    @property
    def exact_source(self) -> int | None:
        """The only source port that matches, if there is just one and it is a port."""
        return None if self.source is None or self.foreign or self.may_drop else self.source.exact

    @property
    def exact_destination(self) -> int | None:
        """The only destination port that matches, if there is just one and it is a port."""
        return None if self.destination is None or self.foreign or self.may_drop else self.destination.exact

    def _is_joined(self, source: Ports, destination: Ports) -> bool:
        """Whether both ports are one test: `! --sport 1 ! --dport 2` lets pass what has not both of them.

        iptables-nft compares both fields at once (add_nft_tcpudp), unlike iptables-legacy.
        """
        inverted = source.inverted and destination.inverted and self.native
        return inverted and source.low == source.high > 0 and destination.low == destination.high > 0

    @property
    def native(self) -> bool:
        """Whether iptables makes nftables' own tests of it."""
        return False

    @property
    def may_drop(self) -> bool:
        """Whether every packet must meet it, because it drops what it cannot read."""
        return False

    def format(self) -> str:
        return " ".join(self.format_ports())

    def format_ports(self) -> list[str]:
        """Print the ports as options."""
        words = []
        if self.source is not None:
            words.append(self.source.format("--sport"))
        if self.destination is not None:
            words.append(self.destination.format("--dport"))
        return words

    def listing(self, names: Names) -> str:
        return " ".join(self.list_ports(names))

    def list_ports(self, names: Names) -> list[str]:
        """Print the protocol and its ports as `iptables -L` does."""
        words = [self.name]
        for word, ports in (("spt", self.source), ("dpt", self.destination)):
            if ports is not None:
                several = "" if ports.low == ports.high else "s"
                mark = "!" if ports.inverted else ""
                words.append(f"{word}{several}:{mark}{names.port_range(ports.low, ports.high)}")
        return words

    def seen(self, skb: Skb, context: Context) -> str:
        if skb.fragment & FRAGMENT_OFFSET:
            return "a later fragment, without ports"
        if self.destination is None or (self.source is not None and not self.source.hold(skb.sport)):
            return f"source port {skb.sport}"
        return f"destination port {skb.dport}"

    def matches(self, skb: Skb, context: Context) -> bool:
        sport, dport = skb.sport, skb.dport
        if skb.fragment & FRAGMENT_OFFSET or self.foreign:
            # nftables, which iptables now is, reads what lies where the ports would be (nft_payload_fast_eval).
            data, transport = skb.data, skb.transport
            if len(data) < transport + 4:
                return False
            sport, dport = data[transport] << 8 | data[transport + 1], data[transport + 2] << 8 | data[transport + 3]
        if self.source is not None and self.destination is not None and self._is_joined(self.source, self.destination):
            return (sport, dport) != (self.source.low, self.destination.low)
        if self.source is not None and not self.source.hold(sport):
            return False
        return self.destination is None or self.destination.hold(dport)

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        """Take a shorter way for one destination port, which is what most rules ask for."""
        port = self.exact_destination
        if port is None or self.source is not None or not self.only_ports:
            return self.matches
        slowly = self.matches
        return lambda skb, context: skb.dport == port if not skb.fragment & FRAGMENT_OFFSET else slowly(skb, context)

    @property
    def only_ports(self) -> bool:
        """Whether the match tests nothing but ports."""
        return True


def is_foreign(options: Options, protocol: str, *tested: str) -> bool:
    """Whether the rule has `! -p PROTOCOL`. Then nftables can only do some of the tests, and wants at least one."""
    if options.has_protocol(protocol):
        return False
    if not options.protocol_inverted or options.protocol != PROTOCOLS[protocol]:
        raise RuleError(f"{protocol.upper()} match requires '-p {protocol}'")
    if not options.by_name or not set(options.by_name) <= {*PORT_OPTIONS, *tested}:
        raise KernelError("Invalid argument", f"{options.owner} with ! -p {protocol} tests ports only")
    return True


def read_native_ports(options: Options) -> tuple[Ports | None, Ports | None]:
    """As `read_ports`, for what iptables turns into nftables' own tests: there `! 0:N` becomes what lies above N."""
    source, destination = read_ports(options)
    return _native(source), _native(destination)


def _native(ports: Ports | None) -> Ports | None:
    if ports is None or not ports.inverted or ports.low or not 0 < ports.high < 0xFFFF:
        return ports
    return Ports(ports.high + 1, 0xFFFF)


def read_ports(options: Options) -> tuple[Ports | None, Ports | None]:
    """Return the source and the destination ports that were given."""
    return Ports.read(options, "--sport", "--source-port"), Ports.read(options, "--dport", "--destination-port")
