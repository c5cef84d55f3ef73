"""The controller process: the objects of one cluster, kept on disk, reconciled, and served to nodes and users.

Forwarding never waits for it: when it dies the nodes go on with what they know, and it comes back with all it had.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import trio

import emulator
from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import (
    PROTOCOL_VERSION,
    ClusterOverview,
    Empty,
    NodeRegistration,
    Registered,
    RenewParams,
    RenewResult,
    VersionResult,
)
from emulator.api.store.normalize import reference_of
from emulator.api.store.store import Store
from emulator.errors import PodwireError
from emulator.kube import addons
from emulator.kube.admission.admission import ClusterAdmission
from emulator.kube.controllers.custom_resources import CustomResourceController
from emulator.kube.controllers.daemonset import DaemonSetController
from emulator.kube.controllers.deployment import DeploymentController
from emulator.kube.controllers.endpoints_mirror import EndpointsMirror
from emulator.kube.controllers.endpointslice import EndpointSliceController
from emulator.kube.controllers.event_expiry import EventExpiry
from emulator.kube.controllers.load_balancer import LoadBalancerController
from emulator.kube.controllers.namespace import NamespaceController
from emulator.kube.controllers.node_lifecycle import NodeLifecycleController
from emulator.kube.controllers.replicaset import ReplicaSetController
from emulator.kube.controllers.statefulset import StatefulSetController
from emulator.kube.proxy import configuration
from emulator.kube.reconciler import Reconciler
from emulator.kube.scheduler.scheduler import Scheduler
from emulator.kube.view_cache import ViewCache
from emulator.runtime.control.server import Exchange, Methods, serve
from emulator.runtime.controller.cloud_registry import CloudRegistry
from emulator.runtime.controller.committer import Committer
from emulator.runtime.controller.database import Database
from emulator.runtime.controller.manager import Manager
from emulator.runtime.controller.nodes import Nodes
from emulator.runtime.controller.object_methods import ObjectMethods
from emulator.runtime.controller.overview import outside, overview
from emulator.runtime.controller.watches import Watches
from emulator.runtime.logging import open_log
from emulator.runtime.state_directory import CLOUD
from emulator.runtime.supervisor import arguments
from emulator.runtime.supervisor.arguments import ControllerArguments
from emulator.runtime.supervisor.processes import Inherited

Listener = trio.abc.Listener[Any]

HISTORY = 10_000

DNS_REPLICAS = 2
"""Pods of the cluster's DNS, as kubeadm has them; no more than there are nodes."""


def reconcilers(config: ClusterConfig) -> list[Reconciler]:
    """Return the controllers that a cluster runs."""
    views = ViewCache()
    networks = (config.pod_cidr, config.service_cidr, config.node_network)
    return [
        DeploymentController(),
        ReplicaSetController(views),
        ReplicaSetController(views, "ReplicationController"),
        StatefulSetController(),
        DaemonSetController(),
        Scheduler(),
        EndpointSliceController(views),
        EndpointsMirror(),
        LoadBalancerController(config.load_balancer_pool, networks),
        NodeLifecycleController(),
        NamespaceController(),
        CustomResourceController(),
        EventExpiry(),
    ]


class Controller:
    """One cluster's control plane upon an open database. `clock` is wall-clock time in seconds."""

    def __init__(
        self,
        config: ClusterConfig,
        database: Database,
        *,
        clock: Callable[[], float],
        logger: logging.Logger,
        history: int = HISTORY,
    ) -> None:
        snapshot = database.begin_epoch()
        self.config = config
        self.epoch = snapshot.epoch
        self._is_new = snapshot.revision == 0
        # A restarted controller must not draw the uids of its former life again.
        random = Random(f"{config.seed}:{snapshot.epoch}")
        self.store = Store(
            random=random, clock=clock, admit=ClusterAdmission(config.service_cidr).admit, history=history
        )
        self.store.load(snapshot.objects, snapshot.revision)
        self._watches = Watches(self.store)
        self._committer = Committer(self.store, database, self._watches.publish)
        self._manager = Manager(self.store, reconcilers(config), clock=clock, random=random, logger=logger)
        self._nodes = Nodes(self.store, self._committer, config, epoch=self.epoch, clock=clock, logger=logger)
        self._outside = outside(config)
        self._cloud = CloudRegistry(self.store, self._committer, epoch=self.epoch, logger=logger)
        self.methods = self._make_methods(logger)
        logger.info("epoch %d begins at revision %d", self.epoch, self.store.revision)

    async def run(self, listeners: Sequence[Listener]) -> None:
        """Serve until cancelled."""
        self._nodes.begin()
        self._create_missing_addons()
        self._manager.look_at_everything()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._committer.run)
            nursery.start_soon(self._manager.run)
            nursery.start_soon(self._nodes.run)
            for listener in listeners:
                nursery.start_soon(serve, listener, self.methods)

    def _create_missing_addons(self) -> None:
        """Create what every cluster has. A user may change it, and delete all but the first namespaces."""
        objects = addons.namespaces()
        if self._is_new:
            objects += addons.cluster_dns(self.config.service_cidr, min(DNS_REPLICAS, len(self.config.nodes)))
            objects.append(configuration.config_map(self.config.proxy_mode))
        for obj in objects:
            if self.store.get(*reference_of(obj)) is None:
                self.store.create(obj)

    def _make_methods(self, logger: logging.Logger) -> Methods:
        methods = Methods(logger)
        methods.add(messages.VERSION, self._version)
        methods.add(messages.CONTROLLER_STATUS, self._status)
        methods.add(messages.REGISTER, self._register)
        methods.add(messages.RENEW, self._renew)
        ObjectMethods(self.store, self._committer, self._watches).add_to(methods)
        return methods

    async def _register(self, params: NodeRegistration, exchange: Exchange[Registered]) -> Empty:
        registry = self._cloud if params.name == CLOUD else self._nodes
        return await registry.register(params, exchange)

    async def _renew(self, params: RenewParams, exchange: Exchange[Empty]) -> RenewResult:
        registry = self._cloud if params.name == CLOUD else self._nodes
        return await registry.renew(params, exchange)

    async def _version(self, _params: Empty, _exchange: Exchange[Empty]) -> VersionResult:
        return VersionResult(
            protocol=PROTOCOL_VERSION,
            version=emulator.__version__,
            role="controller",
            name=self.config.name,
            epoch=self.epoch,
            pid=os.getpid(),
        )

    async def _status(self, _params: Empty, _exchange: Exchange[Empty]) -> ClusterOverview:
        found = overview(
            self.store,
            cluster=self.config.name,
            epoch=self.epoch,
            revision=self.store.revision,
            proxy_mode=self._proxy_mode(),
            hosts=self._outside,
        )
        await self._committer.flush()
        return found

    def _proxy_mode(self) -> str:
        """Return what the nodes are to run in; without the ConfigMap they stay as they are, which is not known here."""
        obj = self.store.get("ConfigMap", configuration.NAMESPACE, configuration.NAME)
        return "" if obj is None else configuration.mode_of(obj)


async def run_controller(
    config: ClusterConfig,
    listeners: Sequence[Listener],
    database_path: Path | None,
    *,
    clock: Callable[[], float] = time.time,
    logger: logging.Logger | None = None,
    history: int = HISTORY,
    task_status: trio.TaskStatus[Controller] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a cluster's controller until cancelled; it has started when it serves.

    Without a path its store is in memory. Watches can resume over at least `history` events. Raises DatabaseError when
    the store cannot be read or written.
    """
    database = Database(database_path)
    try:
        logger = logger if logger is not None else logging.getLogger(__name__)
        controller = Controller(config, database, clock=clock, logger=logger, history=history)
        task_status.started(controller)
        await controller.run(listeners)
    finally:
        database.close()


def main(inherited: Inherited) -> None:
    """Be the controller process, until SIGTERM."""
    logger = open_log(inherited.name)
    given = arguments.decode(inherited.arguments, ControllerArguments)
    if inherited.listener is None:
        raise PodwireError("the controller got no socket to listen on")
    try:
        trio.run(_run_process, given, inherited.listener, logger)
    except BaseExceptionGroup as group:
        expected, others = group.split(PodwireError)
        if expected is None or others is not None:
            raise
        for error in _leaves(expected):
            logger.error("the controller ends: %s", error)
        raise SystemExit(1) from None


async def _run_process(given: ControllerArguments, listener: Any, logger: logging.Logger) -> None:
    listener.setblocking(False)
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_on_signal, nursery.cancel_scope)
        await run_controller(given.config, [accepting], Path(given.database), logger=logger)


async def _end_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


def _leaves(group: BaseExceptionGroup[PodwireError]) -> list[PodwireError]:
    leaves: list[PodwireError] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
