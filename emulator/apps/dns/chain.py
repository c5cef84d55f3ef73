"""Puts the plugins of a Corefile's server blocks together, in the order that CoreDNS has whatever the file's order.

Plugins that few clusters use are imported when a file names them. Source: CoreDNS's plugin.cfg and
core/dnsserver/zdirectives.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from emulator.apps.directory import ServiceDirectory
from emulator.apps.dns.cache import Cache, cache_settings
from emulator.apps.dns.corefile import Directive, ServerBlock
from emulator.apps.dns.forward import Forward, forward_settings
from emulator.apps.dns.kubernetes import Kubernetes, kubernetes_settings
from emulator.apps.dns.loadbalance import LoadBalance
from emulator.apps.dns.loop import Loop
from emulator.apps.dns.request import Handler, NoNext, Request
from emulator.apps.dns.server import NameServer
from emulator.apps.environment import Network
from emulator.errors import PodwireError
from emulator.packet import dns

OTHERS = frozenset({"errors", "log", "health", "ready", "reload", "prometheus", "bufsize", "debug"})
"""Directives that answer nothing: the program sees to `health`, `ready` and `reload`; the others have no effect."""
ORDER = ("loadbalance", "cache", "rewrite", "hosts", "kubernetes", "file", "loop", "forward")
_SEVERAL = frozenset({"rewrite", "file", "forward"})


class Surroundings(Struct, frozen=True):
    """What plugins need: sockets, the cluster's objects, files, time, and somebody who runs tasks for them."""

    network: Network
    directory: ServiceDirectory | None
    own: str
    clock: Callable[[], float]
    read_file: Callable[[str], Awaitable[str | None]]
    watch: Callable[..., None]


async def build_servers(blocks: list[ServerBlock], surroundings: Surroundings) -> dict[int, NameServer]:
    """Return a server for each port. CorefileError, PodwireError."""
    servers: dict[int, NameServer] = {}
    zones: dict[int, dict[str, Handler]] = {}
    for block in blocks:
        chains = zones.setdefault(block.port, {})
        server = servers.setdefault(block.port, NameServer(chains))
        handler = await _Builder(block, surroundings, server).build()
        for zone in block.zones:
            if zone in chains:
                raise PodwireError(f"cannot serve dns://{zone}:{block.port} - it is already defined")
            chains[zone] = handler
    return servers


class _Builder:
    """Makes the chain of one block from its end."""

    def __init__(self, block: ServerBlock, surroundings: Surroundings, server: NameServer) -> None:
        self._block = block
        self._around = surroundings
        self._server = server

    async def build(self) -> Handler:
        for directive in self._block.directives:
            if directive.name not in ORDER and directive.name not in OTHERS:
                raise directive.line.wrong(f"Unknown directive '{directive.name}'")
        handler: Handler = NoNext()
        for name in reversed(ORDER):
            directives = [directive for directive in self._block.directives if directive.name == name]
            if len(directives) > 1 and name not in _SEVERAL:
                raise directives[1].line.wrong(f"plugin/{name}: this plugin can only be used once per Server Block")
            if name == "rewrite":
                handler = self._rewrite(directives, handler)
                continue
            for directive in reversed(directives):
                handler = await self._plugin(directive, handler)
        return handler

    def _rewrite(self, directives: list[Directive], following: Handler) -> Handler:
        if not directives:
            return following
        from emulator.apps.dns.rewrite import Rewrite, name_rule

        return Rewrite(tuple(name_rule(directive) for directive in directives), following)

    async def _plugin(self, directive: Directive, following: Handler) -> Handler:
        around, zones = self._around, self._block.zones
        match directive.name:
            case "loadbalance":
                if directive.line.arguments not in {(), ("round_robin",)}:
                    raise directive.line.argument_error(directive.line.arguments[0])
                return LoadBalance(around.network.netns.kernel.random.getrandbits, following)
            case "cache":
                return Cache(cache_settings(directive, zones), around.clock, following)
            case "hosts":
                from emulator.apps.dns.hosts import Hosts, hosts_settings

                hosts = hosts_settings(directive, zones)
                return Hosts(hosts, await around.read_file(hosts.path) or "", following)
            case "kubernetes":
                settings = kubernetes_settings(directive, zones)
                if around.directory is None:
                    raise directive.line.wrong("plugin/kubernetes: there is no cluster here")
                return Kubernetes(settings, around.directory, around.own, self._look_up, following)
            case "loop":
                loop = Loop(zones[0], around.network.netns.kernel.random.getrandbits, following)
                around.watch(loop.look, around.network, self._block.port)
                return loop
            case "file":
                return await self._file(directive, following)
        forward = forward_settings(directive, around.network.nameservers)
        return Forward(forward, around.network, around.watch, following)

    async def _file(self, directive: Directive, following: Handler) -> Handler:
        from emulator.apps.dns.file import File, ZoneData, file_settings
        from emulator.apps.dns.zone_file import parse_zone_file

        settings = file_settings(directive, self._block.zones)
        text = await self._around.read_file(settings.path)
        if text is None:
            raise directive.line.wrong(f"open {settings.path}: no such file or directory")
        zones = [ZoneData(zone, parse_zone_file(text, zone)) for zone in settings.zones]
        return File(settings, zones, self._look_up, following)

    async def _look_up(self, request: Request) -> dns.Message:
        return await self._server.respond(request)
