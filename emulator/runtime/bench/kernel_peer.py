"""The programs at both ends of the kernel's own path (`kernel_path`): plain sockets, run inside namespaces.

`send ADDRESS PORT COUNT SIZE` and `receive PORT COUNT`; each prints one JSON object.
"""

from __future__ import annotations

import json
import socket
import sys
import time

_QUIET = 1.0  # seconds without a packet after which the rest counts as lost
_PATIENCE = 20.0  # seconds until the first one
_BUFFER = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33


def send(address: str, port: int, count: int, size: int) -> None:
    """Send datagrams as fast as the path takes them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((address, port))
        payload = bytes(size)
        transmit = udp.send
        for _ in range(count):
            transmit(payload)
    print(json.dumps({"sent": count}))


def receive(port: int, count: int) -> None:
    """Count datagrams, from the first to the last; `seconds` lie between the two."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        udp.bind(("0.0.0.0", port))
        print("ready", flush=True)
        udp.settimeout(_PATIENCE)
        received, began, last = 0, 0.0, 0.0
        buffer = bytearray(65_536)
        take = udp.recv_into
        try:
            while received < count:
                take(buffer)
                last = time.monotonic()
                if not received:
                    began = last
                    udp.settimeout(_QUIET)
                received += 1
        except TimeoutError:
            pass  # the rest was lost on the way
    print(json.dumps({"delivered": received, "seconds": last - began}))


def main(words: list[str]) -> None:
    """Be one of the two."""
    if words[0] == "send":
        send(words[1], *(int(word) for word in words[2:]))
    else:
        receive(*(int(word) for word in words[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
