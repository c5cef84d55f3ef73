"""Reads tables as lines that can be compared: conntrack entries without their timeouts, rules sorted by table."""

from __future__ import annotations

import re

from emulator.kernel.netfilter.conntrack.tuple import ICMP, Tuple

_USE = re.compile(r" use=\d+")
_LEFT = re.compile(r" timeout (\d+)")
_ENTRY = re.compile(r"^(ipv4 +2 +\S+ +\d+) (\d+) (.*)$")


def port_of_reply(listing: str, original: Tuple, field: str) -> int | None:
    """Return a port (ICMP: the identifier) of the reply tuple of the entry with an original tuple, if it is listed."""
    head = f" {original} "
    for line in listing.splitlines():
        _, found, reply = line.partition(head)
        if found:
            name = "id" if original.protocol == ICMP else field
            port = re.search(rf" {name}=(\d+)", reply)
            return None if port is None else int(port[1])
    return None


def element_lines(saved: str) -> list[str]:
    """Return the lines of `ipset save`, sorted within each set, a timeout that runs as tens of minutes."""
    return sorted(_LEFT.sub(lambda found: f" timeout {round(int(found[1]), -3)}", line) for line in saved.splitlines())


def by_table(lines: list[str]) -> list[str]:
    """Sort tables by name, and the chains that a table begins with; rules keep their order."""
    tables: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("*"):
            current = tables.setdefault(line, [])
        elif line.strip():
            current.append(line)
    result = []
    for name in sorted(tables):
        chains = sorted(line for line in tables[name] if line.startswith(":"))
        result += [name, *chains, *(line for line in tables[name] if not line.startswith(":"))]
    return result


def split_timeouts(lines: list[str]) -> list[tuple[str, int]]:
    """Return sorted lines of `conntrack -L -o extended` and the seconds that were taken out of each."""
    result = []
    for line in lines:
        found = _ENTRY.match(_USE.sub("", line.strip()))
        if found is not None:
            result.append((f"{found[1]} {found[3]}", int(found[2])))
        elif line.strip():
            result.append((line.strip(), 0))
    return sorted(result)
