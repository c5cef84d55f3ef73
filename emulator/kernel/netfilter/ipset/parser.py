"""The words of `ipset create`, `add`, `del` and `test`, read into values (lib/ipset.c, lib/args.c)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from emulator.kernel.netfilter.ipset.base import IpSet, Ranges
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.element import Element, parse_element
from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetSyntaxError, IpsetUsageError
from emulator.kernel.netfilter.ipset.extension import NOTHING, Extensions, Given
from emulator.kernel.netfilter.ipset.family import INET, INET6, Family
from emulator.kernel.netfilter.ipset.number import check_name, parse_number

_LONGEST_TIMEOUT = 2_147_483  # in milliseconds it fits into 31 bits
_U64 = (1 << 64) - 2
_COMMENT_LENGTH = 255
_FLAGS = frozenset({"counters", "comment", "skbinfo", "forceadd"})
_IGNORED = frozenset({"probes", "resize", "gc"})  # of versions before 6
_ADD_VALUES = ("timeout", "packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue")


class ElementCommand(NamedTuple):
    """What follows the set's name in `add`, `del` and `test`."""

    element: Element
    given: Given


def _pairs(words: Sequence[str], flags: frozenset[str], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each option with its value, "" for a flag; once each."""
    seen: set[str] = set()
    at = 0
    while at < len(words):
        name = words[at].removeprefix("--")
        at += 1
        if name not in known:
            raise IpsetUsageError(f"Unknown argument: `{words[at - 1]}'")
        value = ""
        if name not in flags:
            if at >= len(words):
                raise IpsetUsageError(f"Missing mandatory argument of option `{name}'")
            value = words[at]
            at += 1
        kind = "family" if name in ("-4", "-6") else name
        if kind in seen:
            raise IpsetSyntaxError(f"{name} already specified")
        seen.add(kind)
        yield name, value


# create


def parse_create(kind: type[IpSet], words: Sequence[str]) -> CreateOptions:
    """Read the options of a new set."""
    known = kind.create_options | _IGNORED
    flags = _FLAGS
    if "family" in known:
        known |= {"-4", "-6"}
        flags |= {"-4", "-6"}
    values = dict(_pairs(words, flags, known))
    family = _family(kind, values)
    extensions = Extensions(
        parse_number(values["timeout"], 0, _LONGEST_TIMEOUT) if "timeout" in values else None,
        "counters" in values,
        "comment" in values,
        "skbinfo" in values,
    )
    options: dict[str, int] = {
        name: parse_number(values[name], 0, high) for name, high in _NUMBERS.items() if name in values
    }
    if "netmask" in values:
        options["netmask"] = _netmask(values["netmask"], family)
    if "bitmask" in values:
        options["bitmask"] = _bitmask(values["bitmask"], family)
    if "range" in kind.create_options:
        options |= _range(kind, values)
    return CreateOptions(family=family, extensions=extensions, forceadd="forceadd" in values, **options)


_NUMBERS = {
    "hashsize": 0xFFFFFFFF,
    "maxelem": 0xFFFFFFFF,
    "markmask": 0xFFFFFFFF,
    "bucketsize": 255,
    "initval": 0xFFFFFFFF,
    "size": 0xFFFFFFFF,
}


def _family(kind: type[IpSet], values: dict[str, str]) -> Family:
    if "-4" in values or "-6" in values:
        family = INET if "-4" in values else INET6
    elif "family" in values:
        text = values["family"]
        if text in ("inet", "ipv4"):
            family = INET
        elif text in ("inet6", "ipv6"):
            family = INET6
        elif text in ("any", "unspec"):
            family = kind.default_family()
        else:
            raise IpsetSyntaxError(f"unknown inet family {text}")
    else:
        family = kind.default_family()
    if kind.families and family not in kind.families:
        raise IpsetError("Kernel error received: set type not supported")
    return family


def _netmask(text: str, family: Family) -> int:
    try:
        length = parse_number(text, 0, 255)
        if not 1 <= length <= family.bits:
            raise IpsetSyntaxError(f"'{text}' is out of range 1-{family.bits}")
    except IpsetError as error:
        raise IpsetError(f"{error}\nSyntax error: netmask is out of the inclusive range of 1-{family.bits}") from None
    return length


def _bitmask(text: str, family: Family) -> int:
    mask = family.parse(text)
    if mask is None:
        raise IpsetSyntaxError(
            f"cannot parse {text}: resolving to {family.title} address failed\n"
            f"Syntax error: bitmask is not valid for family = {family.name}"
        )
    return mask


def _range(kind: type[IpSet], values: dict[str, str]) -> dict[str, int]:
    """Return the first and last element of a bitmap."""
    if "range" in values:
        return kind.parse_range(values["range"])
    if "from" not in values:
        raise IpsetUsageError("Mandatory option `range' is missing")
    if "to" not in values:
        raise IpsetUsageError("Mandatory option `to' is missing")
    return kind.parse_range(f"{values['from']}-{values['to']}")


# add, del, test


def parse_element_command(set_: IpSet, command: str, words: Sequence[str]) -> ElementCommand:
    """Read an element and what is said of it. `command` is add, del or test."""
    element = parse_element(
        words[0], set_.family, set_.parts, set_.name, optional=set_.last_part_optional and command != "add"
    )
    given = NOTHING if len(words) == 1 else _given(set_, command, words[1:], element)
    _check_ranges(set_, command, element)
    return ElementCommand(element, given)


def _given(set_: IpSet, command: str, words: Sequence[str], element: Element) -> Given:
    known: frozenset[str] = set_.test_flags if command == "test" else frozenset()
    if command == "add":
        known = set_.add_flags | frozenset(_ADD_VALUES)
    if "name" in set_.features:
        known |= {"before", "after"}
    values = dict(_pairs(words, set_.add_flags, known))
    for name in ("before", "after"):
        if name in values:
            element.reference = check_name(values[name])
            element.before = name == "before"
    return Given(
        _optional(values, "timeout", lambda text: parse_number(text, 0, _LONGEST_TIMEOUT)),
        _optional(values, "packets", lambda text: parse_number(text, 0, _U64)),
        _optional(values, "bytes", lambda text: parse_number(text, 0, _U64)),
        _comment(values["comment"]) if "comment" in values else None,
        _skbmark(values["skbmark"]) if "skbmark" in values else None,
        _optional(values, "skbprio", _skbprio),
        _optional(values, "skbqueue", lambda text: parse_number(text, 0, 0xFFFF)),
        "nomatch" in values,
        "wildcard" in values,
    )


def _optional(values: dict[str, str], name: str, parse: Callable[[str], int]) -> int | None:
    return parse(values[name]) if name in values else None


def _comment(text: str) -> str:
    if '"' in text:
        raise IpsetSyntaxError('" character is not permitted in comments')
    if len(text.encode()) > _COMMENT_LENGTH:
        raise IpsetSyntaxError(f"Comment is longer than the maximum allowed {_COMMENT_LENGTH} characters")
    return text


def _hex(text: str) -> int:
    return int(text, 16) if text and all(digit in "0123456789abcdefABCDEF" for digit in text) else -1


def _skbmark(text: str) -> tuple[int, int]:
    mark, slash, mask = text.partition("/")
    numbers = [_hex(part[2:]) if part[:2] == "0x" else -1 for part in (mark, mask if slash else "0xffffffff")]
    if min(numbers) < 0:
        raise IpsetSyntaxError("Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)")
    return numbers[0] & 0xFFFFFFFF, numbers[1] & 0xFFFFFFFF


def _skbprio(text: str) -> int:
    major, colon, minor = text.partition(":")
    numbers = [_hex(major), _hex(minor)]
    if not colon or min(numbers) < 0:
        raise IpsetSyntaxError("Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)")
    return (numbers[0] << 16 | numbers[1] & 0xFFFF) & 0xFFFFFFFF


def _check_ranges(set_: IpSet, command: str, element: Element) -> None:
    """Refuse a range where the command takes one element only (check_allowed)."""
    allowed: Ranges = set_.test_ranges if command == "test" else set_.ranges
    where = f"in command {command} with set type {set_.name} and family {set_.family.name}"
    if element.cidr is not None and not allowed.cidr:
        raise IpsetError(f"IP/CIDR range is not allowed {where}")
    if element.ip_to is not None and not allowed.addresses:
        raise IpsetError(f"FROM-TO IP range is not allowed {where}")
    if element.port_to is not None and not allowed.ports:
        raise IpsetError(f"FROM-TO port range is not allowed {where}")
