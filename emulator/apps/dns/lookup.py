"""What dig, host and nslookup share: a question to servers in turn, retried, over TCP where UDP was too short.

Source: bind9 9.18, bin/dig/dighost.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio
from msgspec import Struct, field

from emulator.apps.dns.client import exchange_sized
from emulator.apps.environment import Invocation, Network, ResolveError
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import ipv4_to_int, ipv6_to_int
from emulator.packet.dns_edns import Edns
from emulator.packet.dns_name import split_name
from emulator.packet.dns_record import CLASS_IN, A, Question, reverse_name, reverse_name6

PORT = 53


class Lookup(Struct):
    """How a question is asked; times in seconds, `tries` a server."""

    kind: int = A
    rclass: int = CLASS_IN
    port: int = PORT
    timeout: float = 5.0
    tries: int = 3
    tcp: bool = False
    ignore_truncation: bool = False
    recursion: bool = True
    authoritative: bool = False
    authentic_data: bool = False
    checking_disabled: bool = False
    opcode: int = dns.OPCODE_QUERY
    edns: Edns | None = None
    negotiate: bool = True
    stop_at_servfail: bool = True
    check_recursion: bool = False
    """Whether a server that offers no recursion is told of, and the next one asked (nslookup)."""


class Outcome(Struct, frozen=True):
    """An answer, who gave it, and after how many seconds; `query` is what was asked."""

    query: dns.Message
    message: dns.Message
    size: int
    server: str
    over_tcp: bool
    elapsed: float


class Asker(Struct):
    """Asks servers; `notice` prints what went wrong on the way."""

    invocation: Invocation
    servers: Sequence[str]
    notice: Callable[[str], None]
    on_query: Callable[[dns.Message], None] = field(default=lambda _query: None)

    async def ask(self, lookup: Lookup, name: str) -> Outcome | None:
        """Return the first good answer, else the last bad one, or None if no server answered. WireError: no name."""
        split_name(name)
        for index, server in enumerate(self.servers):
            outcome = await self._ask_server(lookup, name, server)
            if outcome is None:
                continue
            trouble = _trouble(lookup, outcome.message)
            last = index == len(self.servers) - 1
            if trouble:
                self.notice(f";; Got {trouble} from {server}{'' if last else ', trying next server'}\n")
            if not trouble or last:
                return outcome
        return None

    async def _ask_server(self, lookup: Lookup, name: str, server: str) -> Outcome | None:
        for _ in range(1 if lookup.tcp else lookup.tries):
            try:
                return await self._exchange(lookup, name, server)
            except trio.TooSlowError:
                reason = "timed out"
            except OSError as error:
                reason = (error.strerror or "failed").lower()
            except trio.BrokenResourceError:
                reason = "end of file"
            self.notice(f";; communications error to {server}#{lookup.port}: {reason}\n")
        return None

    async def _exchange(self, lookup: Lookup, name: str, server: str) -> Outcome:
        network, over_tcp, edns = self.invocation.network, lookup.tcp, lookup.edns
        while True:
            query = _query(lookup, name, edns, network.netns.kernel.random.getrandbits(16))
            self.on_query(query)
            began = trio.current_time()
            with trio.fail_after(lookup.timeout):
                message, size = await exchange_sized(network, (server, lookup.port), query, tcp=over_tcp)
            elapsed = trio.current_time() - began
            extended = Edns.of(message)
            if edns is not None and edns.version and lookup.negotiate and extended and extended.extended_rcode == 1:
                self.notice(";; BADVERS, retrying with EDNS version 0.\n")
                edns = Edns(edns.udp_size, 0, 0, edns.dnssec_ok, edns.options)
            elif message.truncated and not over_tcp and not lookup.ignore_truncation:
                self.notice(";; Truncated, retrying in TCP mode.\n")
                over_tcp = True
            else:
                return Outcome(query, message, size, server, over_tcp, elapsed)


def _query(lookup: Lookup, name: str, edns: Edns | None, identifier: int) -> dns.Message:
    return dns.Message(
        identifier,
        (Question(name, lookup.kind, lookup.rclass),),
        additionals=() if edns is None else (edns.record(),),
        opcode=lookup.opcode,
        authoritative=lookup.authoritative,
        recursion_desired=lookup.recursion,
        authentic_data=lookup.authentic_data,
        checking_disabled=lookup.checking_disabled,
    )


def _trouble(lookup: Lookup, message: dns.Message) -> str:
    if message.rcode == dns.SERVFAIL and not lookup.stop_at_servfail:
        return "SERVFAIL reply"
    if lookup.check_recursion and lookup.recursion and not message.recursion_available:
        return "recursion not available"
    return ""


async def servers_of(invocation: Invocation, name: str) -> list[str] | None:
    """Return the addresses of a server that was named, or those of resolv.conf; None if the name has none."""
    network: Network = invocation.network
    if not name:
        return list(network.nameservers) or ["127.0.0.1"]
    try:
        return await network.resolve(name)
    except ResolveError:
        return None


def reversed_name(text: str) -> str | None:
    """Return the name of an address's PTR record, or None if it is no address."""
    try:
        return reverse_name6(ipv6_to_int(text)) if ":" in text else reverse_name(ipv4_to_int(text))
    except WireError:
        return None


def name_error(name: str) -> str:
    """Say why a name is none, in the words of BIND."""
    if ".." in name or name.startswith("."):
        return "empty label"
    if any(len(label) > 63 for label in name.split(".")):
        return "label too long"
    return "ran out of space" if len(name) > 254 else "bad escape"
