"""agnhost netexec's `/dial`: a pod asks another one for whoever asks it, as Kubernetes' network tests do.

Source: Kubernetes, test/images/agnhost/netexec/netexec.go; the errors are those of Go's net and net/http.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from emulator.apps.environment import Network, ResolveError, TcpStream
from emulator.apps.go import http as go_http
from emulator.apps.go.http import reply
from emulator.apps.go.net import HostPort, broken_text, error_text, resolve
from emulator.apps.go.text import quoted, to_json
from emulator.apps.http_client import EmptyReplyError, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.apps.http_message import Request, Response

TIMEOUT = 5.0  # seconds for one try
MAXIMUM_TRIES = 1_000
"""The original knows no limit; here one pod's answer must not hold the node's event loop up for ever."""


Ask = Callable[[Network, HostPort, str], Awaitable[str]]


class DialError(Exception):
    """A try that failed, in Go's words."""


async def dial(network: Network, request: Request, log: Callable[[str], None]) -> Response:
    """Answer `/dial?host=&port=&protocol=http|udp|sctp&request=hostname&tries=N` with the answers as JSON."""
    host, port, words, protocol, tries = (
        request.parameter(name) for name in ("host", "port", "request", "protocol", "tries")
    )
    log(f"GET /dial?host={host}&protocol={protocol}&port={port}&request={words}&tries={tries}")
    if tries and not (tries.isascii() and tries.isdigit() and int(tries) <= MAXIMUM_TRIES):
        return go_http.error(f"tries parameter is invalid. strconv.Atoi: parsing {quoted(tries)}: invalid syntax", 400)
    if not words:
        return go_http.error("request parameter not specified. <nil>", 400)
    match protocol.lower():
        case "" | "http":
            ask: Ask = _ask_http
            kind = "tcp"
        case "udp":
            ask = _ask_udp
            kind = "udp"
        case "sctp":
            ask = _ask_sctp
            kind = "sctp"
        case _:
            return go_http.error(f"unsupported protocol. {protocol}", 400)
    try:
        address = await resolve(network, host, port, kind)
    except (ResolveError, ValueError) as error:
        return go_http.error(f"host and/or port param are invalid. {error}", 400)
    responses, errors, latest = list[str](), list[str](), ""
    for _ in range(int(tries or "1")):
        latest = ""
        try:
            latest = await ask(network, address, words)
            responses.append(latest)
        except DialError as error:
            errors.append(str(error))
    answer = {"errors": errors} if errors else {}
    if latest:  # as in the original, it is the last try that says whether there are responses to show
        answer["responses"] = responses
    return reply(to_json(answer))


async def _ask_http(network: Network, address: HostPort, path: str) -> str:
    host, port = address
    get = f'Get "http://{host}:{port}/{path}"'
    try:
        with trio.fail_after(TIMEOUT):
            try:
                stream: TcpStream = await network.open_tcp_stream(host, port)
            except OSError as error:
                raise DialError(f"{get}: dial tcp {host}:{port}: connect: {error_text(error)}") from error
            async with stream:
                return await _get(stream, get, address, path)
    except trio.TooSlowError:
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise DialError(f"{get}: {reason}") from None


async def _get(stream: TcpStream, get: str, address: HostPort, path: str) -> str:
    connection = HttpConnection(stream)
    headers = (
        ("Host", f"{address[0]}:{address[1]}"),
        ("User-Agent", "Go-http-client/1.1"),
        ("Accept-Encoding", "gzip"),
    )
    try:
        await connection.send("GET", f"/{path}", headers)
        await connection.receive_head()
        return b"".join([part async for part in connection.body()]).decode("utf-8", "replace")
    except EmptyReplyError:
        raise DialError(f"{get}: EOF") from None
    except ShortReplyError:
        raise DialError("unexpected EOF") from None
    except (MalformedReplyError, ValueError) as error:
        raise DialError(f"{get}: net/http: HTTP/1.x transport connection broken: {error}") from None
    except trio.BrokenResourceError as error:
        raise DialError(f"{get}: {broken_text(stream, error)}") from None


async def _ask_udp(network: Network, address: HostPort, message: str) -> str:
    endpoint = network.open_udp()
    try:
        try:
            endpoint.connect(address)
            await endpoint.send_to(message.encode())
        except OSError as error:
            reason = f"dial udp {address[0]}:{address[1]}: connect: {error_text(error)}"
            raise DialError(f"udp dial failed. err:{reason}") from None
        local = f"{endpoint.local_address[0]}:{endpoint.local_address[1]}"
        read = f"read udp {local}->{address[0]}:{address[1]}"
        try:
            with trio.fail_after(TIMEOUT):
                return (await endpoint.receive()).payload[:2048].decode("utf-8", "replace")
        except trio.TooSlowError:
            reason = f"{read}: i/o timeout"
        except OSError as error:
            reason = f"{read}: read: {error_text(error)}"
        raise DialError(f"reading from udp connection failed. err:'{reason}'")
    finally:
        endpoint.close()


async def _ask_sctp(network: Network, address: HostPort, message: str) -> str:
    from emulator.apps.programs.sctp_server import SctpError, ask_sctp

    try:
        with trio.fail_after(TIMEOUT):
            return (await ask_sctp(network, address, message.encode())).decode("utf-8", "replace")
    except trio.TooSlowError:
        raise DialError("reading from sctp connection failed. err:'i/o timeout'") from None
    except SctpError as error:
        raise DialError(str(error)) from None
