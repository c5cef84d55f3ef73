"""agnhost's subcommands that do one thing and end: connect, dns-suffix, dns-server-list, etc-hosts.

They run as a container's program and as a command of `emulator exec`, as NetworkPolicy tests use `agnhost connect`.
Source: Kubernetes, test/images/agnhost/{connect,dns}.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

import trio

from emulator.apps.environment import Container, Network, ResolveError, TcpStream
from emulator.apps.files import hosts
from emulator.apps.go.flags import parse_flags
from emulator.apps.go.net import error_text, resolve, split_host_port
from emulator.apps.go.text import parse_duration
from emulator.apps.options import UsageError

NAMES = ("connect", "dns-server-list", "dns-suffix", "etc-hosts")

Write = Callable[[str], None]


async def run_as_program(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Run as a container's program: what it prints is its log."""
    task_status.started()
    return await run(container.network, words, container.log, container.log)


async def run(network: Network, words: Sequence[str], write: Write, write_error: Write) -> int:
    """Run a subcommand; return the exit status. UsageError, ValueError for a command line that is refused."""
    match words[0]:
        case "dns-suffix":
            write(",".join(network.search) + "\n")
        case "dns-server-list":
            write(",".join(network.nameservers) + "\n")
        case "etc-hosts":
            write(hosts(network) + "\n")
        case _:
            return await _connect(network, words[1:], write_error)
    return 0


async def _connect(network: Network, words: Sequence[str], write_error: Write) -> int:
    flags = parse_flags(words, {"timeout", "protocol", "udp-data", "sctp-data"}, set())
    operands = _operands(words)
    if len(operands) != 1:
        raise UsageError(f"accepts 1 arg(s), received {len(operands)}")
    timeout = parse_duration(flags.get("timeout", "0"))
    protocol = flags.get("protocol", "") or "tcp"
    attempt = {"tcp": _connect_tcp, "udp": _ask_udp, "sctp": _ask_sctp}.get(protocol)
    if attempt is None:
        write_error("Unsupported protocol\n")
        return 1
    try:
        host, port = split_host_port(operands[0])
        address = await resolve(network, host, port, protocol)
    except ResolveError as error:
        write_error(f"DNS: {error}\n")
        return 1
    except ValueError as error:
        write_error(f"{'UNKNOWN' if 'missing' in str(error) else 'DNS'}: {error}\n")
        return 1
    failure = await attempt(network, address, timeout or float("inf"), flags.get(f"{protocol}-data", "hostname"))
    write_error(failure)
    return 1 if failure else 0


def _operands(words: Sequence[str]) -> list[str]:
    """Return what is neither a flag nor a flag's value."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            found.append(word)
        elif "=" not in word:
            next(rest, None)
    return found


async def _connect_tcp(network: Network, address: tuple[str, int], patience: float, _data: str) -> str:
    """Connect and hang up; return what to print, "" if all went well."""
    place = f"dial tcp {address[0]}:{address[1]}"
    try:
        with trio.fail_after(patience):
            stream: TcpStream = await network.open_tcp_stream(*address)
            await stream.aclose()
    except trio.TooSlowError:
        return "TIMEOUT\n"
    except OSError as error:
        if error.errno == errno.ETIMEDOUT:
            return "TIMEOUT\n"
        if error.errno == errno.ECONNREFUSED:
            return "REFUSED\n"
        return f"OTHER: {place}: connect: {error_text(error)}\n"
    return ""


async def _ask_udp(network: Network, address: tuple[str, int], patience: float, data: str) -> str:
    """Send a line and wait for an answer; return what to print, "" if all went well."""
    endpoint = network.open_udp()
    path = f"udp {address[0]}:{address[1]}"
    try:
        endpoint.connect(address)
        path = f"udp {endpoint.local_address[0]}:{endpoint.local_address[1]}->{address[0]}:{address[1]}"
        with trio.fail_after(patience):
            await endpoint.send_to(f"{data}\n".encode())
            answer = await endpoint.receive()
        if not answer.payload:
            return "OTHER: No data received from the server. Cannot guarantee the server received the request.\n"
    except trio.TooSlowError:
        return f"TIMEOUT: read {path}: i/o timeout\n"
    except OSError as error:
        kind = "REFUSED" if error.errno == errno.ECONNREFUSED else "UNKNOWN"
        return f"{kind}: read {path}: read: {error_text(error)}\n"
    finally:
        endpoint.close()
    return ""


async def _ask_sctp(network: Network, address: tuple[str, int], patience: float, data: str) -> str:
    """Send a message and wait for an answer; return what to print, "" if all went well."""
    from emulator.apps.programs.sctp_server import SctpError, ask_sctp

    try:
        with trio.fail_after(patience):
            answer = await ask_sctp(network, address, f"{data}\n".encode())
    except trio.TooSlowError:
        return "TIMEOUT\n"
    except SctpError as error:
        return f"OTHER: {error.reason}\n"
    if not answer:
        return "OTHER: No data received from the server. Cannot guarantee the server received the request.\n"
    return ""
