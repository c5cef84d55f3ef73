"""An element as a command writes it (`10.0.0.0/24,tcp:80-90`), read as ipset reads it (lib/parse.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetSyntaxError
from emulator.kernel.netfilter.ipset.family import INET, Family
from emulator.kernel.netfilter.ipset.number import MAXIMUM_NAME, parse_number
from emulator.kernel.netfilter.ipset.port import format_proto_port, parse_proto_port, parse_tcp_udp_port

_INTERFACE_LENGTH = 15


class Element:
    """What one element says; None is what it does not. What a type makes of it is its own affair.

    The defaults are the class's, so that the tens of thousands of elements of a text are quick to make.
    """

    ip: int | None = None
    ip_to: int | None = None
    cidr: int | None = None
    ip2: int | None = None
    ip2_to: int | None = None
    cidr2: int | None = None
    proto: int | None = None
    port: int | None = None
    port_to: int | None = None
    mark: int | None = None
    ether: int | None = None
    interface = ""
    physdev = False
    name = ""
    reference = ""  # the set of `before` or `after`
    before = False

    def __init__(self, family: Family) -> None:
        self.family = family


Part: TypeAlias = Callable[[Element, str], None]


def separator(text: str, character: str) -> int:
    """Return where a separator stands, -1 if nowhere; at either end it is none (ipset_strchr)."""
    if not text or text[0] == character or text[-1] == character:
        return -1
    return text.find(character)


def parse_element(text: str, family: Family, parts: Sequence[Part], type_name: str, *, optional: bool) -> Element:
    """Read an element of as many parts as its type has; with `optional` the last ones may be left out."""
    element = Element(family)
    words = _split(text, len(parts), type_name, optional=optional)
    for part, word in zip(parts, words, strict=False):
        part(element, word)
    return element


def _split(text: str, dimension: int, type_name: str, *, optional: bool) -> list[str]:
    first = separator(text, ",")
    if first < 0:
        if dimension > 1 and not optional:
            raise IpsetSyntaxError(f"Second element is missing from {text}.")
        return [text]
    if dimension == 1:
        raise IpsetSyntaxError(f"Elem separator in {text}, but settype {type_name} supports none.")
    one, rest = text[:first], text[first + 1 :]
    second = separator(rest, ",")
    if second < 0:
        if dimension > 2 and not optional:
            raise IpsetSyntaxError(f"Third element is missing from {text}.")
        return [one, rest]
    if dimension == 2:
        raise IpsetSyntaxError(f"Two elem separators in {text}, but settype {type_name} supports one.")
    two, three = rest[:second], rest[second + 1 :]
    if separator(three, ",") >= 0:
        raise IpsetSyntaxError(f"Three elem separators in {text}, but settype {type_name} supports two.")
    return [one, two, three]


# Addresses


def _address(family: Family, text: str) -> int:
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1]
    address = family.parse(text)
    if address is None:
        raise IpsetSyntaxError(f"cannot parse {text}: resolving to {family.title} address failed")
    return address


def _parse(element: Element, text: str) -> tuple[int, int | None, int | None]:
    """Read `address`, `address/length` or `from-to` as (address, to, length)."""
    family = element.family
    slash = separator(text, "/")
    if slash >= 0:
        length = parse_number(text[slash + 1 :], 0, 255)
        if length > family.bits:
            raise IpsetSyntaxError(f"'{text[slash + 1 :]}' is out of range 0-{family.bits}")
        return _address(family, text[:slash]), None, length
    dash = separator(text, "-")
    if dash >= 0:
        return _address(family, text[:dash]), _address(family, text[dash + 1 :]), None
    return _address(family, text), None, None


def _refuse_all_but_plain(element: Element, text: str) -> None:
    slash = separator(text, "/")
    if separator(text, "-") >= 0 or (slash >= 0 and text[slash:] != f"/{element.family.bits}"):
        raise IpsetSyntaxError(f"plain IP address must be supplied: {text}")


def address_or_range(element: Element, text: str) -> None:
    """The first address: IPv4 may be a range or a network, IPv6 is one address (ipset_parse_ip4_single6)."""
    if element.family is not INET:
        _refuse_all_but_plain(element, text)
    element.ip, element.ip_to, element.cidr = _parse(element, text)


def network_or_range(element: Element, text: str) -> None:
    """The first address: a network, and for IPv4 a range too (ipset_parse_ip4_net6)."""
    _refuse_range_of_ipv6(element, text)
    element.ip, element.ip_to, element.cidr = _parse(element, text)


def second_address(element: Element, text: str) -> None:
    """The second address: one (ipset_parse_single_ip)."""
    _refuse_all_but_plain(element, text)
    element.ip2, element.ip2_to, element.cidr2 = _parse(element, text)


def second_network(element: Element, text: str) -> None:
    """The second address: a network, and for IPv4 a range too."""
    _refuse_range_of_ipv6(element, text)
    element.ip2, element.ip2_to, element.cidr2 = _parse(element, text)


def _refuse_range_of_ipv6(element: Element, text: str) -> None:
    if element.family is not INET and separator(text, "-") >= 0:
        raise IpsetSyntaxError(f"IP address or IP/cidr must be specified: {text}")


# Others


def proto_port(element: Element, text: str) -> None:
    """`tcp:80`, `80-90`, `icmp:echo-request`, `gre:0`."""
    element.proto, element.port, element.port_to = parse_proto_port(text, element.family)


def tcp_udp_port(element: Element, text: str) -> None:
    """A port whose protocol is not kept."""
    element.port, element.port_to = parse_tcp_udp_port(text, element.family)


def interface(element: Element, text: str) -> None:
    """A link's name, with `physdev:` for a bridge port."""
    if text.startswith("physdev:"):
        element.physdev = True
        text = text.removeprefix("physdev:")
    if len(text) > _INTERFACE_LENGTH:
        raise IpsetSyntaxError(f"interface name '{text}' is longer than {_INTERFACE_LENGTH} characters")
    element.interface = text


def mark(element: Element, text: str) -> None:
    """A firewall mark."""
    element.mark = parse_number(text, 0, 0xFFFFFFFF)


def ether(element: Element, text: str) -> None:
    """A MAC address."""
    parts = text.split(":")
    try:
        octets = bytes(int(part, 16) for part in parts)
    except ValueError:
        octets = b""
    if len(octets) != 6 or len(text) > 17:
        raise IpsetSyntaxError(f"cannot parse '{text}' as ethernet address")
    element.ether = int.from_bytes(octets, "big")


def set_name(element: Element, text: str) -> None:
    """The name of a set, as an element of list:set; the old form `NAME,before,NAME` is not read."""
    if len(text) > MAXIMUM_NAME:
        raise IpsetSyntaxError(f"setname '{text}' is longer than {MAXIMUM_NAME} characters")
    element.name = text


def require_address(address: int | None) -> int:
    """Return an address that the element's syntax makes sure of."""
    if address is None:
        raise IpsetError("Kernel error received: ipset protocol error")
    return address


# Printing


def show_element(element: Element, parts: Sequence[Part]) -> str:
    """Print an element as it was written, in full, as `test` does."""
    return ",".join(_SHOW[part](element) for part in parts)


def _show_address(element: Element, address: int | None, cidr: int | None, to: int | None = None) -> str:
    show, bits = element.family.format, element.family.bits
    text = show(require_address(address))
    if cidr is not None and cidr != bits:
        text += f"/{cidr}"
    return text if to is None else f"{text}-{show(to)}"


def _show_first(element: Element) -> str:
    return _show_address(element, element.ip, element.cidr, element.ip_to)


def _show_second(element: Element) -> str:
    return _show_address(element, element.ip2, element.cidr2)


def _show_name(element: Element) -> str:
    if not element.reference:
        return element.name
    return f"{element.name} after {element.reference}"  # as the real one, of `before` too


_SHOW: Mapping[Part, Callable[[Element], str]] = MappingProxyType(
    {
        address_or_range: _show_first,
        network_or_range: _show_first,
        second_address: _show_second,
        second_network: _show_second,
        proto_port: lambda element: format_proto_port(element.proto or 0, element.port or 0),
        tcp_udp_port: lambda element: str(element.port),
        interface: lambda element: element.interface,
        mark: lambda element: f"0x{element.mark or 0:08x}",
        ether: lambda element: (element.ether or 0).to_bytes(6, "big").hex(":").upper(),
        set_name: _show_name,
    }
)
