"""CoreDNS: a name server as its Corefile says (emulator/apps/dns), with `health` and `ready` over HTTP.

Source: github.com/coredns/coredns (coremain, plugin/reload); the Corefile that kubeadm writes.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from emulator.apps.dns.chain import Surroundings, build_servers
from emulator.apps.dns.corefile import ServerBlock, duration, parse_corefile
from emulator.apps.dns.probes import HEALTH_PORT, READY_PORT, http_port, lameduck
from emulator.apps.dns.server import NameServer, listen
from emulator.apps.dns.zone import ZoneAnswers
from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve_port
from emulator.apps.http_service import Service
from emulator.apps.termination import terminated
from emulator.errors import PodwireError

VERSION = "CoreDNS-1.12.1"
COREFILE = "/etc/coredns/Corefile"
PORT = 53
RELOAD_INTERVAL = 30.0
"""Seconds between two looks at the Corefile, where the plugin `reload` is."""
_SYNC_PATIENCE = 5.0  # seconds that the start waits for the cluster's objects
_FAILED = 1


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve until cancelled; exit status 1 for a Corefile that cannot be. OSError(EADDRINUSE) where a port is taken."""
    if container.zone is not None:
        return await _serve_zone(container, task_status)
    path = _path(container.args)
    found = await container.read_file(path)
    if found is None:
        container.log(f"open {path}: no such file or directory")
        return _FAILED
    server = _Program(container, path)
    try:
        blocks = parse_corefile(found)
        ended = False
        async with trio.open_nursery() as nursery:
            told = terminated(container)
            await server.start(blocks, nursery)
            task_status.started()
            nursery.start_soon(server.reload_forever, found, nursery)
            await told.wait()
            container.log("[INFO] SIGTERM: Shutting down servers then terminating")
            await server.be_lame()
            ended = True
            nursery.cancel_scope.cancel()
        if ended:
            return 0
    except* PodwireError as group:
        container.log(str(_first(group)))
    return _FAILED


async def _serve_zone(container: Container, task_status: trio.TaskStatus[None]) -> int:
    """Be a resolver outside of clusters, over names made in Python."""
    assert container.zone is not None
    async with trio.open_nursery() as nursery:
        await listen(container.network, PORT, NameServer({".": ZoneAnswers(container.zone)}), nursery)
        container.log(".:53")
        task_status.started()
        await trio.sleep_forever()


def _path(arguments: tuple[str, ...]) -> str:
    """Return the Corefile's path of `-conf PATH`."""
    for flag in ("-conf", "--conf"):
        if flag in arguments[:-1]:
            return arguments[arguments.index(flag) + 1]
    return COREFILE


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Program:
    """The servers of one Corefile, and their change into those of the next."""

    def __init__(self, container: Container, path: str) -> None:
        self._container = container
        self._path = path
        self._servers: dict[int, NameServer] = {}
        self._blocks: list[ServerBlock] = []

    async def start(self, blocks: list[ServerBlock], nursery: trio.Nursery) -> None:
        """Open the ports. PodwireError for a Corefile that cannot be, OSError(EADDRINUSE)."""
        await self._wait_synced()
        self._blocks = blocks
        self._servers = await build_servers(blocks, self._surroundings(nursery))
        for port, server in self._servers.items():
            await listen(self._container.network, port, server, nursery)
        for port, respond in self._http_ports().items():
            service = Service(respond, self._container.wall_clock, self._container.log)
            await nursery.start(
                lambda port, service, task_status: serve_port(self._container, port, service, task_status=task_status),
                port,
                service,
            )
        for block in blocks:
            for zone in block.zones:
                self._container.log(f"{zone}:{block.port}")
        self._container.log(VERSION)

    async def _wait_synced(self) -> None:
        """Wait for the cluster's objects, but not for ever: names that are not known then are SERVFAIL."""
        directory = self._container.directory
        with trio.move_on_after(_SYNC_PATIENCE):
            if directory is not None:
                await directory.wait_synced()

    def _http_ports(self) -> dict[int, Callable[[Request], Response]]:
        ports: dict[int, Callable[[Request], Response]] = {}
        for block in self._blocks:
            if (health := block.find("health")) is not None:
                ports[http_port(health, HEALTH_PORT)] = _health
            if (ready := block.find("ready")) is not None:
                ports[http_port(ready, READY_PORT)] = self._ready
        return ports

    def _ready(self, request: Request) -> Response:
        if request.path != "/ready":
            return text("404 page not found\n", 404)
        waits = any(block.find("kubernetes") for block in self._blocks)
        directory = self._container.directory
        return text("OK") if not waits or (directory is not None and directory.synced) else text("kubernetes", 503)

    def _surroundings(self, nursery: trio.Nursery) -> Surroundings:
        container = self._container
        return Surroundings(
            container.network,
            container.directory,
            container.pod_ip,
            trio.current_time,
            container.read_file,
            nursery.start_soon,
        )

    async def be_lame(self) -> None:
        """Serve on for the time that `health { lameduck TIME }` gives."""
        times = [lameduck(block.find("health")) for block in self._blocks]
        if longest := max(times, default=0.0):
            self._container.log(f"[INFO] plugin/health: Going into lameduck mode for {longest:g}s")
            await trio.sleep(longest)

    async def reload_forever(self, found: str, nursery: trio.Nursery) -> None:
        """Look at the Corefile again and again where the plugin `reload` is; a bad one changes nothing."""
        while True:
            directives = [directive for block in self._blocks if (directive := block.find("reload"))]
            if not directives:
                await trio.sleep_forever()
            words = directives[0].line.arguments
            await trio.sleep(duration(directives[0].line, words[0]) if words else RELOAD_INTERVAL)
            now = await self._container.read_file(self._path)
            if now is None or now == found:
                continue
            found = now
            self._container.log("[INFO] Reloading")
            try:
                await self._change(parse_corefile(found), nursery)
                self._container.log("[INFO] Reloading complete")
            except PodwireError as error:
                self._container.log(f"[ERROR] Restart failed: {error}")

    async def _change(self, blocks: list[ServerBlock], nursery: trio.Nursery) -> None:
        """Put the plugins of another Corefile in the place of those that serve. PodwireError."""
        servers = await build_servers(blocks, self._surroundings(nursery))
        for port, server in servers.items():
            if port in self._servers:
                self._servers[port].zones = server.zones
            else:
                await listen(self._container.network, port, server, nursery)
                self._servers[port] = server
        for port in self._servers.keys() - servers.keys():
            self._servers[port].zones = {}
        self._blocks = blocks


def _health(request: Request) -> Response:
    return text("OK") if request.path == "/health" else text("404 page not found\n", 404)
