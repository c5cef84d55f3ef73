"""Listens where kube-proxy answers load balancers and probes, in the node's own namespace.

A Service's health check port is open as long as the Service has one; `kube/proxy/health.py` has the answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve
from emulator.apps.http_service import Handler, Service
from emulator.kube.proxy.health import HEALTH_PORT, HealthAnswer, ProxyHealth, ServiceChecks
from emulator.kube.proxy.tracker import Name
from emulator.runtime.sockets.network import NetnsNetwork


class HealthServer:
    """All health ports of one node."""

    def __init__(
        self,
        network: NetnsNetwork,
        checks: ServiceChecks,
        health: ProxyHealth,
        wall_clock: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        self._network = network
        self._checks = checks
        self._health = health
        self._wall_clock = wall_clock
        self._log = log
        self._changed = trio.Event()
        self._open: dict[Name, _Listening] = {}

    def changed(self) -> None:
        """Look at the ports of `checks` again."""
        self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, _Listening(HEALTH_PORT), self._answer_probe)
            while True:
                self._changed = trio.Event()
                await self._follow(nursery)
                await self._changed.wait()

    async def _follow(self, nursery: trio.Nursery) -> None:
        """Close what is not wanted any more, first: its port may be another Service's by now."""
        wanted = self._checks.ports
        for name in [name for name, open_ in self._open.items() if wanted.get(name) != open_.port or open_.failed]:
            listening = self._open.pop(name)
            listening.scope.cancel()
            await listening.ended.wait()
        for name, port in wanted.items():
            if name not in self._open:
                listening = self._open[name] = _Listening(port)
                nursery.start_soon(self._listen, listening, partial(self._answer_check, name))

    async def _listen(self, listening: _Listening, handler: Handler) -> None:
        try:
            with listening.scope:
                listener = await self._network.open_tcp_listener(listening.port)
                await serve(listener, Service(handler, self._wall_clock, self._log.error))
        except OSError as error:  # tried again with the next change
            listening.failed = True
            extra = {"port": listening.port, "error": error.strerror}
            self._log.error("kube-proxy cannot listen on a health check port", extra=extra)
        finally:
            listening.ended.set()

    def _answer_check(self, name: Name, request: Request) -> Response:
        del request  # any path will do
        return _response(self._checks.answer(name, healthy=self._health.healthy))

    def _answer_probe(self, request: Request) -> Response:
        answer = self._health.answer(request.path)
        return text("404 page not found\n", 404) if answer is None else _response(answer)


class NodeFollower:
    """Tells kube-proxy's health of its own Node object, out of all that the cache has."""

    def __init__(self, name: str, health: ProxyHealth) -> None:
        self._name = name
        self._health = health

    def put(self, kind: str, obj: Any) -> None:
        """Take a Node that came or changed."""
        del kind
        if obj["metadata"]["name"] == self._name:
            self._health.take_node(obj)

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Take that a Node has gone."""
        del kind, namespace
        if name == self._name:
            self._health.take_node(None)


class _Listening:
    """One open port."""

    __slots__ = ("ended", "failed", "port", "scope")

    def __init__(self, port: int) -> None:
        self.port = port
        self.failed = False
        self.scope = trio.CancelScope()
        self.ended = trio.Event()


def _response(answer: HealthAnswer) -> Response:
    return Response(answer.status, answer.body.encode(), answer.headers)
