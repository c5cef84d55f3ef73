"""A node made of the machine's own kernel: bridge, pods and rules as the emulated node has them, and another node."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from tests.scenarios.world import HTTP

PREFIX = f"pwscn-{os.getpid()}-"
ROOT, OTHER = "root", "other"
_SERVER = f"""
import socket
listener = socket.socket()
listener.bind(("0.0.0.0", {HTTP}))
listener.listen(50)
print("listening", flush=True)
while True:
    stream, client = listener.accept()
    stream.recv(4096)
    body = client[0].encode()
    stream.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    stream.close()
"""
_CLIENT = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end="")
except urllib.error.URLError:
    pass
"""


class RealNode:
    """Namespaces `root` (the node), one for each of its pods, and `other`, the second node that has the pod `far`."""

    def __init__(self, pods: Mapping[str, str], far: str) -> None:
        self._pods = pods
        self._far = far
        self._servers: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self._remove()

    def run(self, name: str, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command in a namespace; return what it prints."""
        done = subprocess.run(
            ["ip", "netns", "exec", PREFIX + name, *command], input=stdin, check=False, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, (command, done.stderr)
        return done.stdout

    def client_address(self, name: str, address: str, port: int) -> str:
        """The address that a server sees; empty if the connection is refused or there is no way."""
        return self.run(name, sys.executable, "-c", _CLIENT, f"http://{address}:{port}/clientip")

    def _make(self) -> None:
        for name in (ROOT, OTHER, *self._pods):
            _ip("netns", "add", PREFIX + name)
            self.run(name, "ip", "link", "set", "lo", "up")
        self._set("ipv4/ip_forward", "ipv4/conf/all/route_localnet")
        _script(self, ROOT, "link add cbr0 type bridge", "addr add 10.244.0.1/24 dev cbr0", "link set cbr0 up")
        self._set("bridge/bridge-nf-call-iptables")  # it is there once the first bridge is
        for name, address in self._pods.items():
            _script(self, ROOT, f"link add {name} type veth peer name eth0 netns {PREFIX}{name}")
            _script(self, ROOT, f"link set {name} master cbr0", f"link set {name} up")
            self.run(ROOT, "bridge", "link", "set", "dev", name, "hairpin", "on")
            _script(self, name, "link set eth0 up", f"addr add {address}/24 dev eth0")
            _script(self, name, "route add default via 10.244.0.1")
        _script(self, ROOT, f"link add eth0 type veth peer name eth0 netns {PREFIX}{OTHER}")
        for name, address in ((ROOT, "172.18.0.2"), (OTHER, "172.18.0.3")):
            _script(self, name, f"addr add {address}/16 dev eth0", "link set eth0 up")
        _script(self, ROOT, "route add 10.244.1.0/24 via 172.18.0.3", "route add default via 172.18.0.1")
        _script(self, OTHER, f"addr add {self._far}/32 dev lo", "route add 10.244.0.0/24 via 172.18.0.2")
        for name in (OTHER, *self._pods):
            self._serve(name)

    def _set(self, *knobs: str) -> None:
        for knob in knobs:
            self.run(ROOT, "sh", "-c", f"echo 1 > /proc/sys/net/{knob}")

    def _serve(self, name: str) -> None:
        command = ["ip", "netns", "exec", PREFIX + name, sys.executable, "-c", _SERVER]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"

    def _remove(self) -> None:
        for server in self._servers:
            server.kill()
            server.communicate()
        for name in (ROOT, OTHER, *self._pods):
            subprocess.run(["ip", "netns", "del", PREFIX + name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _script(node: RealNode, name: str, *lines: str) -> None:
    for line in lines:
        node.run(name, "ip", *line.split())


@contextmanager
def captured_icmp(node: RealNode, name: str, count: int) -> Iterator[list[str]]:
    """Collect the first `count` ICMP packets at a pod's eth0, as tcpdump prints them, while the block lasts."""
    command = ["tcpdump", "--immediate-mode", "-lnt", "-c", str(count), "-i", "eth0", "icmp"]
    pipe = subprocess.PIPE
    capture = subprocess.Popen(["ip", "netns", "exec", PREFIX + name, *command], stdout=pipe, stderr=pipe, text=True)
    assert capture.stderr is not None
    while not capture.stderr.readline().startswith("listening"):
        assert capture.poll() is None
    lines: list[str] = []
    try:
        yield lines
        lines += capture.communicate(timeout=10)[0].splitlines()
    finally:
        capture.kill()
        capture.communicate()
