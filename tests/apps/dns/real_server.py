"""The same server over sockets of the machine, for the real dig, host and nslookup.

`python -m tests.apps.dns.real_server` says "ready" when it serves, and ends with its standard input.
"""

from __future__ import annotations

import socket
import sys

import trio

from emulator.apps.dns.kubernetes import Kubernetes, KubernetesSettings
from emulator.apps.dns.request import Fallthrough, NoNext
from emulator.apps.dns.server import NameServer
from tests.apps.conftest import ADDRESSES

from .world import directory, endpoint, endpoints, service

ADDRESS = ADDRESSES["dns"]


def server() -> NameServer:
    zones = ("cluster.local.", "in-addr.arpa.")
    settings = KubernetesSettings(zones, pods=True, ttl=30, fallthrough=Fallthrough(zones[1:]))
    known = directory()
    known.put("Service", service("many", clusterIP="None"))
    known.put("EndpointSlice", endpoints("many", *(endpoint(f"172.1.0.{last}") for last in range(1, 61))))
    made = NameServer({})
    made.zones = {".": Kubernetes(settings, known, ADDRESS, made.respond, NoNext())}
    return made


async def udp(made: NameServer) -> None:
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        await endpoint.bind((ADDRESS, 53))
        while True:
            data, client = await endpoint.recvfrom(65535)
            answer = await made.answer(data)
            if answer is not None:
                await endpoint.sendto(answer, client)


async def tcp(made: NameServer, stream: trio.SocketStream) -> None:
    data = b""
    while more := await stream.receive_some():
        data += more
        while len(data) >= 2 and len(data) >= 2 + (length := int.from_bytes(data[:2], "big")):
            answer = await made.answer(data[2 : 2 + length], over_tcp=True)
            data = data[2 + length :]
            if answer is not None:
                await stream.send_all(len(answer).to_bytes(2, "big") + answer)


async def main() -> None:
    made = server()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(udp, made)
        listeners = await trio.open_tcp_listeners(53, host=ADDRESS)
        nursery.start_soon(trio.serve_listeners, lambda stream: tcp(made, stream), listeners)
        await trio.sleep(0.1)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
