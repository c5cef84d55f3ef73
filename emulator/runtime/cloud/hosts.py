"""Runs the programs of hosts outside the nodes: the same programs, in the same way, as containers of pods."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import trio
from msgspec import Struct

from emulator.apps.directory import DnsAnswer
from emulator.apps.environment import Container, Program
from emulator.cloud.cloud import Cloud
from emulator.cloud.plan import Host
from emulator.cloud.zone import InternetZone
from emulator.runtime.machine.containers import ContainerLog, Exit, RunningContainer
from emulator.runtime.machine.machine import Machine
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings
from emulator.runtime.supervisor.process_table import Backoff

LEAST_DELAY = 1.0
"""Seconds before a program that ended is started again."""


class RunningHost(Struct):
    """A namespace outside the nodes that users can name; parts of the network have no host and no log."""

    name: str
    network: NetnsNetwork
    log: ContainerLog
    host: Host | None = None


class HostRunner:
    """The hosts of one cloud, and the programs that they run."""

    def __init__(
        self,
        machine: Machine,
        cloud: Cloud,
        nameservers: tuple[str, ...],
        find_program: Callable[[Container], Program],
        log: logging.Logger,
    ) -> None:
        self._machine = machine
        self._find_program = find_program
        self._log = log
        self._zone = _Zone(InternetZone(cloud.hosts.values()))
        self.places = {
            name: RunningHost(
                name,
                NetnsNetwork(machine, netns, _resolver(name, cloud.hosts.get(name), nameservers)),
                ContainerLog(machine.wall_clock),
                cloud.hosts.get(name),
            )
            for name, netns in cloud.namespaces.items()
        }

    async def run(self) -> None:
        """Run all programs until cancelled."""
        async with trio.open_nursery() as nursery:
            for place in self.places.values():
                if place.host is not None and (place.host.image or place.host.ports):
                    nursery.start_soon(self._run_host, place, place.host)

    async def _run_host(self, place: RunningHost, host: Host) -> None:
        """Run a host's program, again and with another log when it ends, as whoever keeps a server running does."""
        backoff = Backoff()
        while True:
            exits: list[Exit] = []
            backoff.started(trio.current_time())
            container = self._container(place, host)
            running = RunningContainer(place.log)
            await running.run(self._find_program(container), container, _nothing, exits.append, self._log)
            delay = max(LEAST_DELAY, backoff.ended(trio.current_time()))
            place.log = ContainerLog(self._machine.wall_clock)
            (last,) = exits
            place.log.write(f"the program ended ({last.message or f'exit status {last.status}'}); again in {delay:g} s")
            await trio.sleep(delay)

    def _container(self, place: RunningHost, host: Host) -> Container:
        return Container(
            name=host.name,
            image=host.image,
            pod_name=host.name,
            namespace="",
            pod_ip=str(host.address),
            node_name="",
            network=place.network,
            log=place.log.write,
            args=host.args,
            env={"HOSTNAME": host.name},
            ports=tuple(("", protocol, port) for protocol, port in host.ports),
            zone=self._zone,
            wall_clock=self._machine.wall_clock,
        )


class _Zone:
    """The internet's names, as programs ask for them."""

    def __init__(self, zone: InternetZone) -> None:
        self._zone = zone

    def lookup(self, name: str, record_type: int) -> DnsAnswer:
        """Look up a full name of a type."""
        answer = self._zone.lookup(name, record_type)
        return DnsAnswer(answer.records, answer.exists, authority=answer.authority)


def _resolver(name: str, host: Host | None, nameservers: Iterable[str]) -> ResolverSettings:
    hosts = {"localhost": "127.0.0.1"}
    if host is not None:
        hosts[name] = str(host.address)
    return ResolverSettings(tuple(nameservers), hosts=hosts)


def _nothing() -> None:
    """Nobody waits for a host to serve."""
