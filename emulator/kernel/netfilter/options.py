"""The options of one match or target in a rule (`! --dport 80`), and how their values are read and printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from msgspec import Struct

from emulator.errors import WireError
from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.service_names import PROTOCOL_NAMES, PROTOCOLS, service_port
from emulator.packet.address import MASKS, format_ipv4, ipv4_to_int
from emulator.packet.digits import is_natural

U32 = 0xFFFFFFFF

_SPECIAL_PROTOCOLS = {"all": 0, "icmpv6": 58, "ipv6-mh": 135, "mh": 135}  # xtables_chain_protos


class Option(Struct, frozen=True, gc=False):
    """One option as it was written."""

    name: str
    values: tuple[str, ...] = ()
    inverted: bool = False

    @property
    def value(self) -> str:
        """Its only value."""
        return self.values[0]


class Options(Struct, frozen=True):
    """All options of one match or target, by name; `owner` is for messages, `protocol` is the rule's -p (0: none)."""

    owner: str
    by_name: Mapping[str, Option]
    protocol: int = 0
    protocol_inverted: bool = False

    def get(self, name: str) -> Option | None:
        """Return an option if it was given."""
        return self.by_name.get(name)

    def has(self, name: str) -> bool:
        """Whether an option without value was given."""
        return name in self.by_name

    def require(self, name: str) -> Option:
        """Return an option that must be there."""
        option = self.by_name.get(name)
        if option is None:
            raise RuleError(f'{self.owner}: option "{name}" must be specified')
        return option

    def require_protocol(self, protocol: str) -> None:
        """Refuse, as the kernel does, the match or target outside `-p PROTOCOL`."""
        if not self.has_protocol(protocol):
            raise KernelError("Invalid argument", f"{self.owner} needs -p {protocol}")

    def has_protocol(self, *protocols: str) -> bool:
        """Whether the rule has `-p` one of these."""
        return not self.protocol_inverted and self.protocol in {PROTOCOLS[name] for name in protocols}

    def only_one(self, *names: str) -> str | None:
        """Return which of several exclusive options was given, or None."""
        given = [name for name in names if name in self.by_name]
        if len(given) > 1:
            raise RuleError(f'{self.owner}: option "{given[0]}" cannot be used together with "{given[1]}".')
        return given[0] if given else None


def parse_integer(text: str, what: str, low: int = 0, high: int = U32, *, near: bool = False) -> int:
    """Read a decimal, 0x hexadecimal or 0 octal number as strtoul does; `what` is `OWNER: OPTION`, for the message."""
    try:
        base = 16 if text[:2].lower() == "0x" else 8 if len(text) > 1 and text[0] == "0" else 10
        number = int(text, base) if text[:1] not in "+-_ " and "_" not in text else -1
    except ValueError:
        number = -1
    if not low <= number <= high:
        owner, _, name = what.rpartition(": ")
        place = f' near "{text}"' if near else ""
        raise RuleError(f'{owner}: bad value for option "{name}"{place}, or out of range ({low}-{high}).')
    return number


def parse_integer_range(option: Option, owner: str, high: int) -> tuple[int, int]:
    """Read `number` or `low:high`; a missing end is 0 or `high`."""
    text, colon, last = option.value.partition(":")
    what = f"{owner}: {option.name}"
    first = parse_integer(text, what, 0, high, near=True) if text else 0
    if not colon:
        return first, first
    return first, parse_integer(last, what, 0, high, near=True) if last else high


def expand(word: str, names: Iterable[str]) -> str:
    """Return the one name that a long option begins, as getopt_long has it; the option itself if none or several do."""
    found = {name for name in names if name.startswith(word)}
    return found.pop() if len(found) == 1 else word


def parse_masked(text: str, what: str) -> tuple[int, int]:
    """Read `value[/mask]`; the mask is all ones if it is left out."""
    value, slash, mask = text.partition("/")
    try:
        return parse_integer(value, what), parse_integer(mask, what) if slash else U32
    except RuleError:
        owner, _, name = what.rpartition(": ")
        raise RuleError(f'{owner}: bad integer value for option "{name}", or out of range.') from None


def parse_named_masked(text: str, what: str, names: Mapping[str, int]) -> tuple[int, int]:
    """Read `value[/mask]`, or a name of a file of iproute2; the mask is all ones if it is left out."""
    try:
        return parse_masked(text, what)
    except RuleError:
        if text in names:
            return names[text], U32
        owner, _, name = what.rpartition(": ")
        raise RuleError(f'{owner}: could not map name {text} to an integer value for option "{name}".') from None


def format_masked(value: int, mask: int) -> str:
    """Print `0xvalue[/0xmask]`, without a mask of all ones."""
    return f"{value:#x}" if mask == U32 else f"{value:#x}/{mask:#x}"


def parse_port(text: str, protocol: str | None = None) -> int:
    """Read a port number or the name of a service, of whatever protocol if none is named."""
    if is_natural(text) and int(text) <= 0xFFFF:
        return int(text)
    port = service_port(text, protocol)
    if port is not None:
        return port
    raise RuleError(f"invalid port/service `{text}' specified")


def parse_long_port(text: str) -> int:
    """Read a port as iptables does for udp and conntrack: a number over 65535 loses its upper bits."""
    return int(text) & 0xFFFF if is_natural(text) and int(text) <= U32 else parse_port(text)


def parse_port_range(
    text: str, separator: str = ":", *, loose: bool = False, protocol: str | None = None
) -> tuple[int, int]:
    """Read `port` or `low:high`; a missing end is the end of all ports.

    `loose`: as iptables reads them for udp and conntrack, where a range may be the wrong way round, of no port.
    """
    low, colon, high = text.partition(separator)
    read = parse_long_port if loose else partial(parse_port, protocol=protocol)
    first = read(low) if low or not colon else 0
    last = (read(high) if high else 0xFFFF) if colon else first
    if first > last and not loose:
        raise RuleError("invalid portrange (min > max)")
    return first, last


def format_port_range(low: int, high: int, separator: str = ":") -> str:
    """Print a range; one port without a separator."""
    return str(low) if low == high else f"{low}{separator}{high}"


def parse_protocol(text: str) -> int:
    """Read a protocol's name or number; 0 is any."""
    if is_natural(text) and int(text) <= 255:
        return int(text)
    name = text.lower()
    number = _SPECIAL_PROTOCOLS.get(name, PROTOCOLS.get(name))
    if number is None:
        raise RuleError(f'unknown protocol "{name}" specified')
    return number


def format_protocol(number: int) -> str:
    """Print a protocol's name, or its number if it has none."""
    return PROTOCOL_NAMES.get(number, str(number))


def parse_address(text: str) -> int:
    """Read an IPv4 address. As in iptables, missing parts at the end are zero: 10.1 is 10.1.0.0.

    Of names only localhost is known: there is no resolver here.
    """
    if text == "localhost":
        return 0x7F000001
    try:
        return ipv4_to_int(text + ".0" * (3 - text.count(".")))
    except WireError:
        raise RuleError(f"host/network `{text}' not found") from None


def parse_host(text: str) -> int:
    """Read an address as inet_aton does: the last part fills what is left, so that 24 is 0.0.0.24."""
    parts = text.split(".")
    if len(parts) == 4 or not all(is_natural(part) for part in parts):
        return parse_address(text)
    last = int(parts[-1])
    if len(parts) > 4 or any(int(part) > 255 for part in parts[:-1]) or last >> 8 * (5 - len(parts)):
        raise RuleError(f"host/network `{text}' not found")
    return sum(int(part) << 8 * (3 - at) for at, part in enumerate(parts[:-1])) | last


def parse_host_mask(text: str) -> tuple[int, int]:
    """Read an address and its mask: a length, or a mask that is one; whatever else is 32."""
    address, slash, length = text.partition("/")
    value = parse_host(address)
    if not slash:
        return value, U32
    if is_natural(length):
        return value, MASKS[min(int(length), 32)]
    mask = parse_address(length)
    return value, mask if mask in MASKS else U32


def parse_prefix_length(option: Option, owner: str) -> int:
    """Read a prefix length or a mask. As in iptables, an address that is no mask, even a bare number, is 32."""
    try:
        return parse_integer(option.value, owner, 0, 32)
    except RuleError:
        pass
    try:
        mask = parse_host(option.value)
    except RuleError:
        why = "neither a valid network mask nor valid CIDR (0-32)."
        raise RuleError(f'{owner}: bad value for option "{option.name}", {why}') from None
    return MASKS.index(mask) if mask in MASKS else 32


def parse_network(text: str) -> tuple[int, int]:
    """Read `address[/length|/mask]` to (network, mask)."""
    address, slash, length = text.partition("/")
    if not slash:
        mask = U32
    elif "." in length:
        mask = parse_address(length)
    elif is_natural(length) and int(length) <= 32:
        mask = MASKS[int(length)]
    else:
        raise RuleError(f"invalid mask `{length}' specified")
    return parse_address(address) & mask, mask


def format_network(network: int, mask: int, *, host_length: bool = True) -> str:
    """Print `network/length`, or `network/mask` where the mask is no prefix."""
    if mask == U32 and not host_length:
        return format_ipv4(network)
    try:
        return f"{format_ipv4(network)}/{MASKS.index(mask)}"
    except ValueError:
        return f"{format_ipv4(network)}/{format_ipv4(mask)}"


def quote(text: str) -> str:
    """Quote a word as iptables-save does (`xtables_save_string`): only if it has other than plain characters."""
    if text and all(character.isascii() and (character.isalnum() or character in "_-") for character in text):
        return text
    escaped = "".join("\\" + character if character in "\"\\'" else character for character in text)
    return f'"{escaped}"'
