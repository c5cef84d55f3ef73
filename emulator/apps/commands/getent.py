"""getent of glibc 2.36, for hosts: what getaddrinfo makes of a name."""

from __future__ import annotations

from emulator.apps.dns.client import reverse
from emulator.apps.environment import Invocation, ResolveError
from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int

_HINT = "Try `getent --help' or `getent --usage' for more information.\n"
_NOT_FOUND = 2


async def main(invocation: Invocation) -> int:
    """Run `getent hosts|ahosts|ahostsv4 NAME...`. Exit status 0, 1 for usage, 2 for a name that is not found."""
    words = invocation.argv[1:]
    if not words:
        invocation.write_error(f"getent: wrong number of arguments\n{_HINT}")
        return 1
    if words[0] not in {"hosts", "ahosts", "ahostsv4"}:
        invocation.write_error(f"Unknown database: {words[0]}\n{_HINT}")
        return 1
    if len(words) == 1:
        for name, address in invocation.network.hosts.items():
            invocation.write(f"{address:<15s} {name}\n")
        return 0
    found = [await (_hosts if words[0] == "hosts" else _ahosts)(invocation, name) for name in words[1:]]
    return 0 if all(found) else _NOT_FOUND


async def _hosts(invocation: Invocation, name: str) -> bool:
    try:
        ipv4_to_int(name)
    except WireError:
        pass
    else:
        known = await reverse(invocation.network, name)
        if known:
            invocation.write(f"{name:<15s} {known}\n")
        return bool(known)
    try:
        names, addresses = await invocation.network.look_up(name)
    except ResolveError:
        return False
    for address in addresses:
        invocation.write(f"{address:<15s} {' '.join(names)}\n")
    return True


async def _ahosts(invocation: Invocation, name: str) -> bool:
    try:
        names, addresses = await invocation.network.look_up(name)
    except ResolveError:
        return False
    for index, address in enumerate(addresses):
        invocation.write(f"{address:<15s} STREAM {names[0] if index == 0 else ''}\n")
        invocation.write(f"{address:<15s} DGRAM  \n{address:<15s} RAW    \n")
    return True
