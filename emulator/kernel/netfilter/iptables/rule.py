"""A rule: what it tests, what it does, and its counters. Tests are compiled to closures over ints when it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.match.port import PortMatch
from emulator.kernel.netfilter.options import U32, format_network, format_protocol

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.netfilter.iptables.ignored import Ignored
    from emulator.kernel.netfilter.match.base import Match
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.target.base import Target
    from emulator.kernel.skb import Skb

    Predicate = Callable[[Skb, Context], bool]

# Bits of a rule's shape: the fields of which it wants one exact value (see `chain.py`).
BY_SADDR, BY_DADDR, BY_PROTOCOL, BY_SPORT, BY_DPORT = 1, 2, 4, 8, 16


class Network(Struct, frozen=True, gc=False):
    """`-s` or `-d`."""

    address: int
    mask: int
    inverted: bool = False


class Interface(Struct, frozen=True, gc=False):
    """`-i` or `-o`; a name that ends in + stands for all that begin so."""

    name: str
    inverted: bool = False


class RuleSpec(Struct, frozen=True, gc=False):
    """What a rule says, without its counters. Equal specs are the same rule to `iptables -D` and `-C`.

    `target` is None where the rule jumps to a chain (`jump`) or only counts. `protocol` 0 is any. A rule that is
    `ignored` has nothing else.
    """

    source: Network | None = None
    destination: Network | None = None
    in_interface: Interface | None = None
    out_interface: Interface | None = None
    protocol: int = 0
    protocol_inverted: bool = False
    fragment: bool | None = None  # -f: True, ! -f: False
    matches: tuple[Match, ...] = ()
    target: Target | None = None
    jump: str = ""
    goto: bool = False
    ignored: Ignored | None = None

    def format(self, counters: tuple[int, int] | None = None) -> str:
        """Print it as iptables-save does, after `-A CHAIN `; with `-c PACKETS BYTES` if counters are given."""
        if self.ignored is not None:
            return self.ignored.text
        words: list[str] = []
        for flag, network in (("-s", self.source), ("-d", self.destination)):
            if network is not None:
                words.append(f"{_not(network.inverted)}{flag} {format_network(network.address, network.mask)}")
        for flag, interface in (("-i", self.in_interface), ("-o", self.out_interface)):
            if interface is not None:
                words.append(f"{_not(interface.inverted)}{flag} {interface.name}")
        if self.protocol:
            words.append(f"{_not(self.protocol_inverted)}-p {format_protocol(self.protocol)}")
        if self.fragment is not None:
            words.append("-f" if self.fragment else "! -f")
        for match in self.matches:
            words += [f"-m {match.name}", match.format()]
        if counters is not None:
            words.append(f"-c {counters[0]} {counters[1]}")
        if self.jump:
            words.append(f"{'-g' if self.goto else '-j'} {self.jump}")
        elif self.target is not None:
            words += [f"-j {self.target.name}", self.target.format()]
        return " ".join(word for word in words if word)

    def key(self) -> tuple[int, tuple[int, ...]]:
        """Return its shape and the exact values, in the order of the shape's bits.

        Ports are among them only if no match with a memory stands before: Linux asks that one about packets to other
        ports too.
        """
        shape = 0
        values: list[int] = []
        for bit, network in ((BY_SADDR, self.source), (BY_DADDR, self.destination)):
            if network is not None and network.mask == U32 and not network.inverted:
                shape |= bit
                values.append(network.address)
        if self.protocol and not self.protocol_inverted:
            shape |= BY_PROTOCOL
            values.append(self.protocol)
        ports = next((match for match in self.matches if match.has_memory or isinstance(match, PortMatch)), None)
        if isinstance(ports, PortMatch):
            for bit, port in ((BY_SPORT, ports.exact_source), (BY_DPORT, ports.exact_destination)):
                if port is not None:
                    shape |= bit
                    values.append(port)
        return shape, tuple(values)

    def parts(self) -> tuple[Match | Target, ...]:
        """Return its matches, and its target if it has one."""
        return self.matches if self.target is None else (*self.matches, self.target)

    @property
    def needs_conntrack(self) -> bool:
        """Whether the kernel would switch connection tracking on for it."""
        return any(match.needs_conntrack for match in self.matches) or (
            self.target is not None and self.target.tracks()
        )


def _not(inverted: bool) -> str:
    return "! " if inverted else ""


_NO_KEY: tuple[int, tuple[int, ...]] = (0, ())


class Rule:
    """A rule in a chain. `number` counts from 1 and is set when the chain is compiled."""

    __slots__ = ("bytes", "chain", "key", "number", "packets", "predicates", "returns", "spec", "target")

    def __init__(self, spec: RuleSpec, packets: int = 0, octets: int = 0) -> None:
        self.spec = spec
        self.packets = packets
        self.bytes = octets
        self.number = 0
        self.predicates: tuple[Predicate, ...] | None = None
        self.chain: Chain | None = None  # where it jumps to
        self.key: tuple[int, tuple[int, ...]] = _NO_KEY  # its spec's, once it is bound
        self.returns = spec.target is not None and spec.target.name == "RETURN"
        self.target = None if self.returns else spec.target

    def matches(self, skb: Skb, context: Context) -> bool:
        """Whether all tests hold."""
        for predicate in self.predicates or ():  # noqa: SIM110  # all() would make a generator for each packet
            if not predicate(skb, context):
                return False
        return True

    def bind(self, netfilter: Netfilter) -> tuple[Predicate, ...]:
        """Compile the tests, once: what a match remembers stays while the chain around it changes."""
        if self.predicates is None:
            matches = tuple(match.bind(netfilter) for match in self.spec.matches if match.name != "comment")
            self.predicates = header_predicates(self.spec) + matches
            self.key = self.spec.key()
        return self.predicates


def header_predicates(spec: RuleSpec) -> tuple[Predicate, ...]:
    """Compile -s -d -i -o -p -f, the cheapest and most telling first."""
    found: list[Predicate] = []
    if spec.destination is not None:
        found.append(_destination(spec.destination))
    if spec.source is not None:
        found.append(_source(spec.source))
    if spec.protocol:
        found.append(_protocol(spec.protocol, spec.protocol_inverted))
    if spec.in_interface is not None:
        found.append(_in_interface(spec.in_interface))
    if spec.out_interface is not None:
        found.append(_out_interface(spec.out_interface))
    if spec.fragment is not None:
        wanted = spec.fragment
        found.append(lambda skb, _: bool(skb.fragment & 0x1FFF) is wanted)
    return tuple(found)


def _source(network: Network) -> Predicate:
    address, mask = network.address, network.mask
    if network.inverted:
        return lambda skb, _: skb.saddr & mask != address
    return lambda skb, _: skb.saddr & mask == address


def _destination(network: Network) -> Predicate:
    address, mask = network.address, network.mask
    if network.inverted:
        return lambda skb, _: skb.daddr & mask != address
    return lambda skb, _: skb.daddr & mask == address


def _protocol(protocol: int, inverted: bool) -> Predicate:
    if inverted:
        return lambda skb, _: skb.protocol != protocol
    return lambda skb, _: skb.protocol == protocol


def link_matches(name: str, pattern: str) -> bool:
    """Whether a link's name ("" for none) is the one, or begins as the one that ends in +."""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def _in_interface(interface: Interface) -> Predicate:
    pattern, inverted = interface.name, interface.inverted

    def matches(skb: Skb, _: Context) -> bool:
        link = skb.in_link
        return link_matches("" if link is None else link.name, pattern) is not inverted

    return matches


def _out_interface(interface: Interface) -> Predicate:
    pattern, inverted = interface.name, interface.inverted

    def matches(skb: Skb, _: Context) -> bool:
        link = skb.out_link
        return link_matches("" if link is None else link.name, pattern) is not inverted

    return matches
