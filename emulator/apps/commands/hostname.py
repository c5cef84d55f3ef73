"""hostname of net-tools: the name of the pod or node, its addresses."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError, parse
from emulator.packet.address import format_ipv4


async def main(invocation: Invocation) -> int:
    """Run `hostname [-s | -f | -d | -i | -I]`. Exit status 0, or 1 for what it cannot use."""
    try:
        options = parse(
            invocation.argv[1:],
            "sfdiI",
            ("short", "fqdn", "long", "domain", "ip-address", "all-ip-addresses"),
            aliases={
                "short": "s",
                "fqdn": "f",
                "long": "f",
                "domain": "d",
                "ip-address": "i",
                "all-ip-addresses": "I",
            },
        )
    except UsageError as error:
        invocation.write_error(f"hostname: {error}\n")
        return 1
    if options.operands:
        invocation.write_error("hostname: you must be root to change the host name\n")
        return 1
    network = invocation.network
    name = invocation.hostname
    if "I" in options:
        links = [link for link in network.netns.links.values() if not link.loopback]
        name = "".join(f"{format_ipv4(own.address)} " for link in links for own in link.addresses)
    elif "i" in options:
        name = network.hosts.get(name, "127.0.0.1")
    elif "f" in options or "d" in options:
        address = network.hosts.get(name)
        full = next((known for known, at in network.hosts.items() if at == address and "." in known), name)
        name = full if "f" in options else full.partition(".")[2]
    elif "s" in options:
        name = name.partition(".")[0]
    invocation.write(f"{name}\n")
    return 0
