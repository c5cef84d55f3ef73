"""Questions to one name server over a namespace's sockets: what nslookup and dig ask, and who has an address (PTR)."""

from __future__ import annotations

import trio
from msgspec.structs import replace

from emulator.apps.environment import Address, Network
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import ipv4_to_int
from emulator.packet.dns_record import OPT, PTR, A, Question, Record, reverse_name

PORT = 53
TIMEOUT = 5.0  # seconds for one answer


async def ask(
    network: Network,
    server: str,
    name: str,
    record_type: int = A,
    *,
    port: int = PORT,
    tcp: bool = False,
    recursion: bool = True,
    udp_size: int = 0,
) -> dns.Message:
    """Ask a server once and wait for the answer; one that is truncated is asked for again over TCP.

    `udp_size` above 0 announces it with EDNS. OSError (ECONNREFUSED, ...), trio.BrokenResourceError; WireError for a
    name that DNS cannot express.
    """
    identifier = network.netns.kernel.random.getrandbits(16)
    query = dns.Message(identifier, (Question(name, record_type),), recursion_desired=recursion)
    if udp_size:
        query = replace(query, additionals=(Record(".", OPT, 0, b"", udp_size),))
    response = await exchange(network, (server, port), query, tcp=tcp)
    return await exchange(network, (server, port), query, tcp=True) if response.truncated else response


async def exchange(network: Network, server: Address, query: dns.Message, *, tcp: bool = False) -> dns.Message:
    """Send one query to a server's address and port, and wait for its answer. Errors as `ask`, but for the name's."""
    return (await exchange_sized(network, server, query, tcp=tcp))[0]


async def exchange_sized(
    network: Network, server: Address, query: dns.Message, *, tcp: bool = False
) -> tuple[dns.Message, int]:
    """As `exchange`; return the answer's size in bytes too."""
    return await (_over_tcp if tcp else _over_udp)(network, *server, query)


async def reverse(network: Network, address: str) -> str:
    """Return the name of an address by the hosts file or its PTR record; "" if there is none or nobody knows."""
    for name, known in network.hosts.items():
        if known == address:
            return name
    for server in network.nameservers[:1]:
        try:
            with trio.fail_after(TIMEOUT):
                response = await ask(network, server, reverse_name(ipv4_to_int(address)), PTR)
        except (OSError, trio.TooSlowError, trio.BrokenResourceError):
            return ""
        for record in response.answers:
            if record.type == PTR and isinstance(record.data, str):
                return record.data.rstrip(".")
    return ""


def search_names(network: Network, name: str, ndots: int | None = None) -> list[str]:
    """Return the full names to ask for, in order, as resolv.conf(5) says; `ndots` in the place of its own."""
    enough = network.ndots if ndots is None else ndots
    if name.endswith("."):
        return [name]
    qualified = [f"{name}.{domain.rstrip('.')}." for domain in network.search]
    return [f"{name}.", *qualified] if name.count(".") >= enough else [*qualified, f"{name}."]


async def _over_udp(network: Network, server: str, port: int, query: dns.Message) -> tuple[dns.Message, int]:
    endpoint = network.open_udp()
    try:
        endpoint.connect((server, port))
        await endpoint.send_to(query.build())
        while True:
            data = (await endpoint.receive()).payload
            response = _answer(data, query)
            if response is not None:
                return response, len(data)
    finally:
        endpoint.close()


async def _over_tcp(network: Network, server: str, port: int, query: dns.Message) -> tuple[dns.Message, int]:
    payload = query.build()
    async with await network.open_tcp_stream(server, port) as stream:
        await stream.send_all(len(payload).to_bytes(2, "big") + payload)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            more = await stream.receive_some()
            if not more:
                raise trio.BrokenResourceError("the name server closed the connection")
            data += more
    length = int.from_bytes(data[:2], "big")
    response = _answer(data[2 : 2 + length], query)
    if response is None:
        raise trio.BrokenResourceError("the name server's answer is malformed")
    return response, length


def _answer(data: bytes, query: dns.Message) -> dns.Message | None:
    """Read the answer to this very query; None for anything else."""
    try:
        response = dns.Message.parse(data)
    except WireError:
        return None
    return response if response.is_response and response.identifier == query.identifier else None
