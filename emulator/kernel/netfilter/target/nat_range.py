"""What DNAT, SNAT, MASQUERADE and REDIRECT may map to, as options and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.nat.nat import Range
from emulator.kernel.netfilter.options import parse_address, parse_port
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.options import Options

PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp")
_PORTS_NEED = "Need TCP, UDP, SCTP or DCCP with port specification"


def parse_ports(text: str, options: Options) -> tuple[int, int, int | None]:
    """Read `low[-high[/base]]`. Only protocols that have ports may have it."""
    if not options.has_protocol(*PORT_PROTOCOLS):
        raise RuleError(_PORTS_NEED)
    span, slash, base = text.partition("/")
    low, dash, high = span.partition("-")
    first = parse_port(low)
    last = parse_port(high) if dash else first
    if first > last:
        raise RuleError(f'Port range "{span}" invalid')
    return first, last, parse_port(base) if slash else None


def parse_range(text: str, options: Options) -> Range:
    """Read `[address[-address]][:ports]`, and the flags beside it."""
    addresses, colon, ports = text.partition(":")
    low, dash, high = addresses.partition("-")
    has_address = bool(low)
    if not has_address and not colon:
        raise RuleError(f'Bad IP address "{text}"')
    first = parse_address(low) if has_address else 0
    last = parse_address(high) if dash else first
    span = parse_ports(ports, options) if colon else None
    return Range(
        addresses=(first, last) if has_address else None,
        ports=span[:2] if span else None,
        base=span[2] if span else None,
        random=options.has("--random"),
        fully_random=options.has("--random-fully"),
        persistent=options.has("--persistent"),
    )


def format_range(span: Range) -> str:
    """Print the addresses and ports."""
    text = ""
    if span.addresses is not None:
        low, high = span.addresses
        text = format_ipv4(low) if low == high else f"{format_ipv4(low)}-{format_ipv4(high)}"
    if span.ports is not None:
        text += ":" + format_ports(span)
    return text


def format_ports(span: Range) -> str:
    """Print the ports alone."""
    if span.ports is None:
        return ""
    low, high = span.ports
    text = str(low) if low == high else f"{low}-{high}"
    return text if span.base is None else f"{text}/{span.base}"


def format_flags(span: Range) -> list[str]:
    """Print what else is said of the choice."""
    flags = (("--random", span.random), ("--random-fully", span.fully_random), ("--persistent", span.persistent))
    return [name for name, given in flags if given]


def list_flags(span: Range) -> list[str]:
    """Print what else is said of the choice as `iptables -L` does."""
    return [flag.removeprefix("--") for flag in format_flags(span)]
