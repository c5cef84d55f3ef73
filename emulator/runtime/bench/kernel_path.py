"""The same way of a packet through this machine's own kernel, for comparison: veth, bridge, iptables' DNAT, bridge.

Needs root, `ip` and `iptables`. Everything happens in three network namespaces that are made for it and removed again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from emulator.runtime.bench.cluster import BenchError
from emulator.runtime.bench.traffic import Transfer

VIP = "10.96.0.9"
PORT = 7000

_NEEDED = ("ip", "iptables")
_LONGEST = 120.0

# The node's two bridges stand for the two nodes' ones; `{n}` is the prefix of the namespaces' names.
_SET_UP = f"""
ip netns add {{n}}client
ip netns add {{n}}node
ip netns add {{n}}server
ip -n {{n}}node link add cbr0 type bridge
ip -n {{n}}node link add cbr1 type bridge
ip -n {{n}}client link add eth0 type veth peer name veth0 netns {{n}}node
ip -n {{n}}server link add eth0 type veth peer name veth1 netns {{n}}node
ip -n {{n}}node link set veth0 master cbr0 up
ip -n {{n}}node link set veth1 master cbr1 up
ip -n {{n}}node addr add 10.244.1.1/24 dev cbr0
ip -n {{n}}node addr add 10.244.2.1/24 dev cbr1
ip -n {{n}}node link set cbr0 up
ip -n {{n}}node link set cbr1 up
ip -n {{n}}client addr add 10.244.1.2/24 dev eth0
ip -n {{n}}client link set eth0 up
ip -n {{n}}client route add default via 10.244.1.1
ip -n {{n}}server addr add 10.244.2.2/24 dev eth0
ip -n {{n}}server link set eth0 up
ip -n {{n}}server route add default via 10.244.2.1
ip netns exec {{n}}node sysctl -q -w net.ipv4.ip_forward=1
ip netns exec {{n}}node iptables -t nat -A PREROUTING -d {VIP} -p udp --dport {PORT} -j DNAT --to 10.244.2.2:{PORT}
"""


def missing(*commands: str) -> str:
    """Say why the kernel cannot be measured here, with `ip` and `iptables` or other commands; "" where it can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    lacking = [name for name in commands or _NEEDED if shutil.which(name) is None]
    return f"{' and '.join(lacking)} cannot be found" if lacking else ""


def measure_kernel(packets: int, size: int) -> Transfer:
    """Send UDP packets through the kernel. Raises BenchError."""
    with _namespaces() as prefix, _peer(prefix + "server", "receive", PORT, packets) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        with _peer(prefix + "client", "send", VIP, PORT, packets, size) as sender:
            sender.communicate(timeout=_LONGEST)
        output, _ = receiver.communicate(timeout=_LONGEST)
    try:
        counted = json.loads(output)
    except ValueError:
        raise BenchError("the kernel's receiver ended without a count") from None
    return Transfer(sent=packets, delivered=counted["delivered"], seconds=counted["seconds"])


@contextlib.contextmanager
def _namespaces() -> Iterator[str]:
    prefix = f"pwbench{os.getpid()}-"
    try:
        for line in _SET_UP.format(n=prefix).strip().split("\n"):
            done = subprocess.run(line.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchError(f"{line}: {done.stderr.strip()}")
        yield prefix
    finally:
        for name in ("client", "node", "server"):
            subprocess.run(["ip", "netns", "delete", prefix + name], capture_output=True, check=False)


@contextlib.contextmanager
def _peer(namespace: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Run one of the two programs; it is gone when the block is left."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "emulator.runtime.bench.kernel_peer"]
    process = subprocess.Popen([*command, *map(str, words)], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
