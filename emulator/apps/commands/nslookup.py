"""nslookup of BIND 9.18, without its interactive mode."""

from __future__ import annotations

import trio

from emulator.apps.dns.client import TIMEOUT, ask, search_names
from emulator.apps.dns.text import record_type
from emulator.apps.environment import Invocation, ResolveError
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import format_ipv4, format_ipv6, ipv4_to_int
from emulator.packet.dns_record import AAAA, CNAME, PTR, A, Record, Soa, Srv, reverse_name, type_name

_USAGE = """Usage:
   nslookup [-opt ...]             # interactive mode using default server
   nslookup [-opt ...] - server    # interactive mode using 'server'
   nslookup [-opt ...] host        # just look up 'host' using default server
   nslookup [-opt ...] host server # just look up 'host' using 'server'
"""
_TRIES = 3


async def main(invocation: Invocation) -> int:
    """Run `nslookup [-type=TYPE] NAME [SERVER]`. Exit status 0, or 1 where there is no answer."""
    words = list(invocation.argv[1:])
    kind: int | None = None
    while words and words[0].startswith("-"):
        name, _, value = words.pop(0)[1:].partition("=")
        kind = record_type(value) if name in {"type", "querytype", "q", "query"} else None
        if kind is None:
            invocation.write_error(f"*** Invalid option: {name}\n" if not value else f"unknown query type: {value}\n")
            return 1
    if not 1 <= len(words) <= 2:
        invocation.write_error(_USAGE)
        return 1
    server = await _server(invocation, words[1] if len(words) == 2 else "")
    return 1 if server is None else await _look_up(invocation, server, words[0], kind)


async def _server(invocation: Invocation, name: str) -> str | None:
    if not name:
        known = invocation.network.nameservers
        return known[0] if known else "127.0.0.1"
    try:
        return (await invocation.network.resolve(name))[0]
    except ResolveError:
        invocation.write_error(f"nslookup: couldn't get address for '{name}': not found\n")
        return None


async def _look_up(invocation: Invocation, server: str, name: str, kind: int | None) -> int:
    try:
        names, kinds = [reverse_name(ipv4_to_int(name))], [PTR]
    except WireError:
        names, kinds = search_names(invocation.network, name), [A, AAAA] if kind is None else [kind]
    response: dns.Message | None = None
    found = ""
    for found in names:
        response = await _ask(invocation, server, found, kinds[0])
        if response is None or response.rcode != dns.NXDOMAIN:
            break
    if response is None:
        return 1
    head = f"Server:\t\t{server}\nAddress:\t{server}#53\n\n"
    if response.rcode != dns.NOERROR:
        invocation.write(f"{head}** server can't find {name}: {dns.rcode_name(response.rcode)}\n\n")
        return 1
    records = list(response.answers)
    for other in kinds[1:]:
        second = await _ask(invocation, server, found, other)
        records += () if second is None else [record for record in second.answers if record.type == other]
    if not records:
        invocation.write(f"{head}*** Can't find {name}: No answer\n\n")
        return 1
    note = "" if response.authoritative else "Non-authoritative answer:\n"
    invocation.write(head + note + "".join(_line(record) for record in records) + "\n")
    return 0


async def _ask(invocation: Invocation, server: str, name: str, kind: int) -> dns.Message | None:
    """Ask until there is an answer; say so if there is none."""
    reason = "timed out"
    for _ in range(_TRIES):
        try:
            with trio.fail_after(TIMEOUT):
                return await ask(invocation.network, server, name, kind)
        except trio.TooSlowError:
            reason = "timed out"
        except WireError as error:
            invocation.write_error(f"nslookup: '{name}' is not a legal IDNA2008 name ({error})\n")
            return None
        except (OSError, trio.BrokenResourceError) as error:
            reason = str(error.strerror).lower() if isinstance(error, OSError) else "closed"
            invocation.write(f";; communications error to {server}#53: {reason}\n")
    if reason == "timed out":
        invocation.write(";; connection timed out; no servers could be reached\n\n")
    else:
        invocation.write(";; no servers could be reached\n\n")
    return None


def _line(record: Record) -> str:
    name = record.name.rstrip(".")
    match record.data:
        case int(address):
            text = format_ipv4(address) if record.type == A else format_ipv6(address)
            return f"Name:\t{name}\nAddress: {text}\n"
        case str(target):
            words = {PTR: "name", CNAME: "canonical name"}.get(record.type, "nameserver")
            return f"{name}\t{words} = {target}\n"
        case Srv(priority, weight, port, target):
            return f"{name}\tservice = {priority} {weight} {port} {target}\n"
        case Soa() as soa:
            return (
                f"{name}\n\torigin = {soa.mname}\n\tmail addr = {soa.rname}\n\tserial = {soa.serial}\n"
                f"\trefresh = {soa.refresh}\n\tretry = {soa.retry}\n"
                f"\texpire = {soa.expire}\n\tminimum = {soa.minimum}\n"
            )
        case tuple(strings):
            return f"{name}\ttext = {' '.join(chr(34) + part.decode('latin-1') + chr(34) for part in strings)}\n"
        case raw:
            return f"{name}\trdata_{record.type} = {type_name(record.type)} {raw!r}\n"
