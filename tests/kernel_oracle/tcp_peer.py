"""A program for Linux's side of a TAP: sends drawn bytes on one connection, and sums up what it reads, both at once.

`python tcp_peer.py connect|listen ADDRESS PORT SEED SIZE` prints "listening" first where that is so, and one line of
JSON at the end: how many bytes came, their SHA-256, and the name of the error that ended it (null if it ended well).
It is run inside a namespace and imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import random
import socket
import sys
import threading
from collections.abc import Iterator

BLOCK = 65_536


def blocks(seed: int, size: int) -> Iterator[bytes]:
    """The `size` bytes that `seed` stands for, in blocks."""
    source = random.Random(seed)
    while size:
        block = source.randbytes(min(BLOCK, size))
        size -= len(block)
        yield block


def digest(seed: int, size: int) -> str:
    """What the SHA-256 of these bytes must be."""
    total = hashlib.sha256()
    for block in blocks(seed, size):
        total.update(block)
    return total.hexdigest()


def choose_cubic(one: socket.socket) -> None:
    """Use CUBIC where this kernel has it; the sysctl of a namespace takes it only where the machine's list allows."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")


def main(role: str, address: str, port: int, seed: int, size: int) -> None:
    """Run one connection to its end and print what became of it."""
    if role == "listen":
        with socket.create_server((address, port)) as listener:
            choose_cubic(listener)
            print("listening", flush=True)
            connection, _ = listener.accept()
    else:
        connection = socket.socket()
        choose_cubic(connection)
        connection.connect((address, port))
    errors: list[int] = []

    def send() -> None:
        try:
            for block in blocks(seed, size):
                connection.sendall(block)
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            errors.append(error.errno or 0)

    sender = threading.Thread(target=send)
    sender.start()
    total, count = hashlib.sha256(), 0
    try:
        while data := connection.recv(4 * BLOCK):
            total.update(data)
            count += len(data)
    except OSError as error:
        errors.append(error.errno or 0)
    sender.join()
    connection.close()
    name = errno.errorcode.get(errors[0]) if errors else None
    print(json.dumps({"bytes": count, "sha256": total.hexdigest(), "error": name}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
