"""What the objects of `ip` share: global options, words of the command line, JSON as iproute2 writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from emulator.apps.environment import Invocation
from emulator.errors import WireError
from emulator.kernel.link.link import Link
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int, mac_to_int, parse_interface

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]

SHOW = ("show", "lst", "list")


class IpError(Exception):
    """What `ip` says on standard error, with its exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Context(Struct, frozen=True):
    """One run of `ip`."""

    invocation: Invocation
    options: frozenset[str]

    @property
    def netns(self) -> Netns:
        """The namespace that the command runs in."""
        return self.invocation.network.netns

    def has(self, option: str) -> bool:
        """Whether a global option was given."""
        return option in self.options

    def link(self, name: str) -> Link:
        """Return a link to be changed or routed through. IpError if there is none of that name."""
        link = self.netns.links.get(name)
        if link is None:
            raise IpError(f'Cannot find device "{name}"')
        return link

    def shown_link(self, name: str) -> Link:
        """Return a link to be shown. IpError if there is none of that name."""
        link = self.netns.links.get(name)
        if link is None:
            raise IpError(f'Device "{name}" does not exist.')
        return link

    def master(self, name: str) -> Link:
        """Return the link that others are, or shall be, ports of. IpError if there is none of that name."""
        link = self.netns.links.get(name)
        if link is None:
            raise IpError(f'Error: argument "{name}" is wrong: Device does not exist\n', 255)
        return link

    def write(self, text: str) -> None:
        """Print."""
        self.invocation.write(text)

    def write_json(self, rows: Sequence[Mapping[str, Json]]) -> None:
        """Print rows as `-j`, or `-j -p`, does."""
        if self.has("pretty"):
            self.write(_pretty(rows, 0) + "\n")
        else:
            self.write(json.dumps(rows, separators=(",", ":")) + "\n")


class Words:
    """The words behind an object, taken one by one."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = list(words)

    def __bool__(self) -> bool:
        return bool(self._words)

    def next(self) -> str:
        """Take the next word. IpError where there is none."""
        if not self._words:
            raise IpError('Command line is not complete. Try option "help"', 255)
        return self._words.pop(0)

    def drop(self) -> None:
        """Take the next word and forget it."""
        self.next()

    def address(self) -> int:
        """Take an IPv4 address. IpError if it is none."""
        word = self.next()
        try:
            return ipv4_to_int(word)
        except WireError:
            raise IpError(f'Error: any valid prefix is expected rather than "{word}".') from None

    def prefix(self) -> tuple[int, int]:
        """Take an address with or without a length, or `default`. IpError if it is none."""
        word = self.next()
        if word in {"default", "any", "all"}:
            return 0, 0
        try:
            return parse_interface(word)
        except WireError:
            raise IpError(f'Error: any valid prefix is expected rather than "{word}".') from None

    def mac(self) -> int:
        """Take a MAC address. IpError if it is none."""
        word = self.next()
        try:
            return mac_to_int(word)
        except WireError:
            if all(re.fullmatch("[0-9A-Fa-f]{1,2}", part) for part in word.split(":")):
                raise IpError("Error: Invalid link address.", 2) from None  # bytes, but too few: the kernel says it
            raise IpError(f'"{word}" is invalid lladdr.') from None

    def integer(self, name: str) -> int:
        """Take a number. IpError if it is none."""
        word = self.next()
        try:
            return int(word, 0)
        except ValueError:
            raise IpError(f'Error: argument "{word}" is wrong: Invalid "{name}" value\n', 255) from None


def is_command(word: str, *names: str) -> bool:
    """Whether a word abbreviates one of some commands."""
    return any(name.startswith(word) for name in names)


def unknown_command(word: str, thing: str) -> IpError:
    """Make what `ip` says of a command it does not know."""
    return IpError(f'Command "{word}" is unknown, try "ip {thing} help".', 255)


def _pretty(value: Json, depth: int) -> str:
    if isinstance(value, Mapping):
        inner, outer = " " * 8 * (depth + 1), " " * (8 * depth + 4)
        members = ",\n".join(f'{inner}"{key}": {_pretty(member, depth + 1)}' for key, member in value.items())
        return f"{{\n{members}\n{outer}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[ {','.join(_pretty(member, depth) for member in value)} ]" if value else "[ ]"
    return json.dumps(value)
