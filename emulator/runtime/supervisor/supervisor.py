"""Starts a cluster's processes, keeps them running, ends them all: what `emulator start` is while the cluster runs."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import trio
from msgspec import Struct

import emulator
from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import (
    ApplyParams,
    ControlError,
    Empty,
    ErrorCode,
    Object,
    SupervisorStatusResult,
    VersionResult,
)
from emulator.cloud.plan import plan_hosts
from emulator.errors import PodwireError
from emulator.runtime.control.client import open_client
from emulator.runtime.control.server import RESERVE, Methods, control_socket, serve
from emulator.runtime.programs import programs_of
from emulator.runtime.state_directory import (
    CLOUD,
    CONTROLLER,
    SUPERVISOR,
    TRAFFIC,
    StateDirectory,
    StateDirectoryLock,
)
from emulator.runtime.supervisor import arguments
from emulator.runtime.supervisor.arguments import (
    CloudArguments,
    ControllerArguments,
    NodeArguments,
    TrafficArguments,
)
from emulator.runtime.supervisor.interruptions import Interruptions
from emulator.runtime.supervisor.keeper import kept
from emulator.runtime.supervisor.last_words import reason_of
from emulator.runtime.supervisor.launcher import Launcher, LauncherLostError, LocalLauncher
from emulator.runtime.supervisor.process_table import Backoff, ProcessRecord, ProcessTable
from emulator.runtime.supervisor.processes import ProcessExited, ProcessFailed, ProcessStarted, StartProcess
from emulator.runtime.supervisor.readiness import Progress, wait_ready

LOOPBACK = "127.0.0.1"
_FAILURES_OF_A_START = 3
"""A process that ends as often as this before the cluster was ever ready will not come up."""

_DESCRIPTORS = RESERVE + 12
"""Open files that a process must be allowed to have beside those for each node."""


class StartError(PodwireError):
    """The cluster did not come up; nothing of it is left."""


class Restarted(Struct, frozen=True):
    """A process ended and is started again."""

    name: str
    reason: str


Report = Callable[[Progress | Restarted], None]
"""Hears how the start goes and, later, what had to be started again."""


class Supervisor:
    """The processes of one cluster. `run` returns when the cluster was asked to stop."""

    def __init__(
        self,
        config: ClusterConfig,
        objects: Sequence[Object],
        directory: StateDirectory,
        launcher: Launcher,
        report: Report,
        interruptions: Interruptions,
        replace_launcher: Callable[[], Launcher] | None = None,
        lifeline: int | None = None,
    ) -> None:
        self._config = config
        self._objects = list(objects)
        self._directory = directory
        self._launcher = launcher
        self._replace_launcher = replace_launcher
        self._report = report
        self._interruptions = interruptions
        self._lifeline = lifeline
        self._table = ProcessTable()
        self._launchers = Backoff()
        self._ready = False
        self._applied = False
        self._started_at = 0.0
        self._scope = trio.CancelScope()
        self._started: dict[str, trio.Event] = {}
        self._failure: PodwireError | None = None
        self._ended = trio.Event()

    async def run(self) -> None:
        """Run the cluster until a signal or `stop` ends it. Raises StartError if it does not come up."""
        self._started_at = trio.current_time()
        self._fill_table()
        async with AsyncExitStack() as stack:
            try:
                listener = await stack.enter_async_context(control_socket(self._directory.socket(SUPERVISOR)))
            except OSError as error:
                self.stop(StartError(f"the supervisor's socket cannot be made: {error.strerror or error}"))
                await self._end()
            else:
                await self._serve_and_run(listener)
        if self._failure is not None:
            raise self._failure

    async def _serve_and_run(self, listener: trio.SocketListener) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, listener, self._methods())
            try:
                await self._run_processes()
            finally:
                await self._end()
            nursery.cancel_scope.cancel()  # only now do those who asked for the end hear of it

    async def _run_processes(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey_signals)
                if self._lifeline is not None:
                    nursery.start_soon(self._hold_lifeline, self._lifeline)
                nursery.start_soon(self._watch_processes, nursery)
                for record in self._table:
                    await self._start(record)
                nursery.start_soon(self._bring_up)

    def stop(self, failure: PodwireError | None = None) -> None:
        """End the cluster, because somebody asked for it or because of `failure`."""
        self._failure = self._failure or failure
        self._scope.cancel()

    # --- processes ---

    def _fill_table(self) -> None:
        config, directory = self._config, self._directory
        controller = ControllerArguments(config=config, database=str(directory.database))
        self._add(CONTROLLER, CONTROLLER, arguments.encode(controller), None)
        for node in config.nodes:
            each = NodeArguments(config=config, name=node.name, controller=str(directory.socket(CONTROLLER)))
            self._add("node", node.name, arguments.encode(each), (LOOPBACK, 0))
        if config.cloud.exists:  # last, since nothing waits for it
            cloud = CloudArguments(config=config, controller=str(directory.socket(CONTROLLER)))
            self._add(CLOUD, CLOUD, arguments.encode(cloud), (LOOPBACK, 0))
        if config.traffic:
            traffic = TrafficArguments(name=config.name, state_directory=str(directory.path), files=config.traffic)
            self._add(TRAFFIC, TRAFFIC, arguments.encode(traffic), None)

    def _add(self, role: str, name: str, encoded: bytes, underlay: tuple[str, int] | None) -> None:
        directory = self._directory
        request = StartProcess(
            name=name,
            program=role,
            arguments=encoded,
            log=str(directory.log(name)),
            socket="" if role == TRAFFIC else str(directory.socket(name)),
            underlay=underlay,
        )
        self._table.add(role, request)
        self._started[name] = trio.Event()

    async def _start(self, record: ProcessRecord, delay: float = 0.0) -> None:
        record.attempts += 1
        attempt = record.attempts
        await trio.sleep(delay)
        if attempt != record.attempts:
            return  # with another launcher it was started before its time
        try:
            await self._launcher.start(record.request)
        except LauncherLostError:
            return  # whoever watches the launcher starts everything again

    async def _watch_processes(self, nursery: trio.Nursery) -> None:
        while True:
            try:
                event = await self._launcher.next_event()
            except LauncherLostError as error:
                await self._recover_launcher(error)
                continue
            record = self._table[event.name]
            now = trio.current_time()
            match event:
                case ProcessStarted():
                    record.started(event, now)
                    self._started[event.name].set()
                case ProcessExited():
                    reason = reason_of(event, self._directory)
                    delay = record.ended(reason, now)
                    self._judge(record, reason)
                    nursery.start_soon(self._start, record, delay)
                case ProcessFailed():
                    delay = record.ended(event.message, now)
                    if not self._ready:
                        self.stop(StartError(event.message))
                    nursery.start_soon(self._start, record, delay)

    async def _recover_launcher(self, error: LauncherLostError) -> None:
        """The launcher took its processes along: get another one, and start them all again."""
        await self._launcher.end(now=True)  # its process is collected, its socket closed
        if self._replace_launcher is None or not self._ready:
            self.stop(StartError(str(error)))
            await trio.sleep_forever()
        now = trio.current_time()
        for record in self._table:
            record.ended(str(error), now)
        await trio.sleep(self._launchers.ended(now))
        try:
            self._launcher = self._replace_launcher()
        except OSError as failure:
            self.stop(StartError(f"the process that starts the others cannot be replaced: {failure.strerror}"))
            await trio.sleep_forever()
        self._launchers.started(trio.current_time())
        self._report(Restarted("launcher", str(error)))
        for record in self._table:
            self._directory.socket(record.name).unlink(missing_ok=True)
            await self._start(record)

    def _judge(self, record: ProcessRecord, reason: str) -> None:
        """A process that ended is started again, unless the cluster never came up because of it."""
        if not self._ready and record.backoff.failures >= _FAILURES_OF_A_START:
            self.stop(StartError(f"{record.name} does not come up: {reason}"))
            return
        self._report(Restarted(record.name, reason))

    # --- the cluster ---

    async def _bring_up(self) -> None:
        """Apply the manifests and wait until all is ready; a controller that is replaced meanwhile is asked again."""
        await self._started[CONTROLLER].wait()
        while True:
            try:
                await self._bring_up_once()
                return
            except ControlError as error:
                if error.code is not ErrorCode.UNAVAILABLE:
                    self.stop(StartError(error.message))
                    return
            except OSError as error:
                self.stop(StartError(f"the controller cannot be reached: {error.strerror or error}"))
                return

    async def _bring_up_once(self) -> None:
        stream = await trio.open_unix_socket(str(self._directory.socket(CONTROLLER)))
        async with open_client(stream) as client:
            if self._objects and not self._applied:
                await client.call(messages.APPLY, ApplyParams(objects=self._objects))
                self._applied = True
            progress = await wait_ready(client, len(self._config.nodes), self._report_unready)
            self._ready = True
            self._report(progress)

    def _report_unready(self, progress: Progress) -> None:
        if not progress.ready:
            self._report(progress)

    # --- control and end ---

    def _methods(self) -> Methods:
        methods = Methods()

        async def version(_params: Empty, _exchange: object) -> VersionResult:
            await trio.lowlevel.checkpoint()
            return VersionResult(
                protocol=messages.PROTOCOL_VERSION,
                version=emulator.__version__,
                role=SUPERVISOR,
                name=self._config.name,
                pid=os.getpid(),
            )

        async def status(_params: Empty, _exchange: object) -> SupervisorStatusResult:
            await trio.lowlevel.checkpoint()
            now = trio.current_time()
            return SupervisorStatusResult(
                cluster=self._config.name,
                pid=os.getpid(),
                ready=self._ready,
                uptime=now - self._started_at,
                state_directory=str(self._directory.path),
                processes=tuple(record.status(now) for record in self._table),
            )

        async def stop(_params: Empty, _exchange: object) -> Empty:
            self.stop()
            await self._ended.wait()
            return Empty()

        methods.add(messages.VERSION, version)
        methods.add(messages.SUPERVISOR_STATUS, status)
        methods.add(messages.STOP, stop)
        return methods

    async def _obey_signals(self) -> None:
        await self._interruptions.next()
        self.stop()

    async def _hold_lifeline(self, descriptor: int) -> None:
        """End the cluster when whoever holds the other end of this pipe goes, or says so by closing it."""
        await trio.lowlevel.wait_readable(descriptor)
        self.stop()

    async def _end(self) -> None:
        """End all processes; a second Ctrl-C meanwhile does not wait for them to end by themselves."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_at_once_on_signal)
                await self._launcher.end(now=self._failure is not None)
                self._ended.set()
                nursery.cancel_scope.cancel()

    async def _end_at_once_on_signal(self) -> None:
        while True:
            await self._interruptions.next()
            await self._launcher.hurry()


def run_supervisor(
    config: ClusterConfig,
    objects: Sequence[Object],
    lock: StateDirectoryLock,
    report: Report,
    interruptions: Interruptions,
    *,
    lifeline: int | None = None,
) -> None:
    """Run a cluster until it is stopped. Call it where trio does not run and there is one thread.

    `lock` is the state directory that `state_directory.create` gave; it is removed at the end in any case. The
    first of `interruptions` ends the cluster, the second does not wait for it to end by itself. `lifeline` is the
    reading end of a pipe: the cluster ends when it becomes readable, as at its writer's end. Raises StartError if
    the cluster does not come up.
    """
    with kept(lock):
        _check_descriptors(len(config.nodes))
        programs = programs_of(objects, (host.image for host in plan_hosts(config) if host.image))
        launcher = LocalLauncher.fork(lock, config.proxy_mode, programs)
        supervisor = Supervisor(
            config,
            objects,
            lock.directory,
            launcher,
            report,
            interruptions,
            lambda: LocalLauncher.spawn(lock, config.proxy_mode, programs),
            lifeline,
        )
        trio.run(supervisor.run)


def _check_descriptors(nodes: int) -> None:
    """Refuse what would only half come up. The launcher has two for each node, the controller one and a reserve."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _DESCRIPTORS + 2 * nodes
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise StartError(f"a process may have {limit} open files here, {nodes} nodes need {needed}; see: ulimit -Hn")
