"""agnhost netexec's `/dial`: a pod asks another one for whoever asks it, as Kubernetes' network tests do."""

from __future__ import annotations

import json

import trio

from emulator.apps.environment import Network, TcpStream
from emulator.apps.http_client import EmptyReplyError, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.apps.http_message import Request, Response, text
from emulator.apps.options import port_number

TIMEOUT = 5.0  # seconds for one try
MAXIMUM_TRIES = 100


async def dial(network: Network, request: Request) -> Response:
    """Answer `/dial?host=&port=&protocol=http|udp&request=hostname&tries=N` with the answers as JSON."""
    try:
        host, port = request.parameter("host"), port_number(request.parameter("port"))
        tries = int(request.parameter("tries", "1"))
        if not 1 <= tries <= MAXIMUM_TRIES:
            raise ValueError(f"tries parameter is invalid: {tries}")
    except ValueError as error:
        return text(f"{error}\n", 400)
    protocol = request.parameter("protocol", "http")
    if protocol not in {"http", "udp"}:
        return text(f"unsupported protocol: {protocol}\n", 400)
    ask = _ask_http if protocol == "http" else _ask_udp
    responses, errors = [], []
    for _ in range(tries):
        try:
            with trio.fail_after(TIMEOUT):
                responses.append(await ask(network, host, port, request.parameter("request", "hostname")))
        except trio.TooSlowError:
            errors.append(f"timed out after {TIMEOUT:g} s")
        except (
            OSError,
            trio.BrokenResourceError,
            EmptyReplyError,
            ShortReplyError,
            MalformedReplyError,
            ValueError,
        ) as error:
            errors.append(str(error))
    answer = {"responses": responses} if responses else {}
    if errors:
        answer["errors"] = errors
    return text(json.dumps(answer, separators=(",", ":")))


async def _ask_http(network: Network, host: str, port: int, path: str) -> str:
    stream: TcpStream
    async with await network.open_tcp_stream(host, port) as stream:
        connection = HttpConnection(stream)
        await connection.send("GET", f"/{path.lstrip('/')}", (("Host", f"{host}:{port}"), ("Connection", "close")))
        await connection.receive_head()
        return b"".join([part async for part in connection.body()]).decode("utf-8", "replace")


async def _ask_udp(network: Network, host: str, port: int, message: str) -> str:
    address = (await network.resolve(host))[0]
    endpoint = network.open_udp()
    try:
        endpoint.connect((address, port))
        await endpoint.send_to(message.encode())
        return (await endpoint.receive()).payload.decode("utf-8", "replace")
    finally:
        endpoint.close()
