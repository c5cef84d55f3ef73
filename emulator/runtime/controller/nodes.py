"""The controller's side of nodes: which there are, which process is which, and which gave no sign of life lately."""

from __future__ import annotations

import logging
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import trio

import emulator
from emulator.api.cloud_section import NODE
from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import (
    MAC_ANNOTATION,
    UNDERLAY_ANNOTATION,
    ControlError,
    Empty,
    ErrorCode,
    NodeRegistration,
    Object,
    Registered,
    RenewParams,
    RenewResult,
)
from emulator.api.objects import HOSTNAME_LABEL, ZONE_LABEL
from emulator.api.store.history import Reference
from emulator.api.store.normalize import rfc3339
from emulator.api.store.store import Store
from emulator.cloud.plan import plan_hosts
from emulator.kube.ipam import free_node_address, free_pod_cidr
from emulator.kube.ownership import with_condition
from emulator.kube.scheduler.scheduler import NOT_REGISTERED
from emulator.runtime import lag
from emulator.runtime.control.server import Exchange
from emulator.runtime.controller.committer import Committer

LEASE_DURATION = 4.0
"""Seconds without a sign of life after which a node counts as lost: what the cluster's endpoints lag behind at most."""

RENEW_INTERVAL = 1.0
POD_CAPACITY = "110"
ARCHITECTURE = "amd64"
"""What nodes call themselves: the one that manifests ask for. No image is ever looked at."""

_Condition = dict[str, Any]


class _Holder:
    """The process that is a node now."""

    __slots__ = ("registration", "released")

    def __init__(self, registration: NodeRegistration) -> None:
        self.registration = registration
        self.released = trio.Event()


class Nodes:
    """Registration and leases of one cluster's nodes. `epoch` is that of this controller."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        config: ClusterConfig,
        *,
        epoch: int,
        clock: Callable[[], float],
        logger: logging.Logger,
    ) -> None:
        self._store = store
        self._committer = committer
        self._config = config
        self._epoch = epoch
        self._clock = clock
        self._logger = logger
        self._holders: dict[str, _Holder] = {}
        self._deadlines: dict[str, float] = {}
        self._leased = trio.Event()

    def begin(self) -> None:
        """Make the configured nodes' objects, and give nodes that were ready before the time to come back."""
        for node in self._config.nodes:
            if self._store.get("Node", "", node.name) is None:
                self._create(node.name, node.zone, dict(node.labels))
        for obj in self._store.list("Node"):
            if _ready_status(obj) == "True":
                self._extend(obj["metadata"]["name"])

    async def register(self, params: NodeRegistration, exchange: Exchange[Registered]) -> Empty:
        """Take a node in; it stays registered as long as the exchange lasts.

        Raises ControlError: ALREADY_EXISTS while another process is that node, INVALID when addresses are used up.
        """
        holder = await self._claim(params)
        try:
            node = self._write(params)
            await self._committer.flush()
            registered = Registered(
                node=node, epoch=self._epoch, lease_duration=LEASE_DURATION, renew_interval=RENEW_INTERVAL
            )
            await exchange.send(registered)
            await trio.sleep_forever()
        finally:
            holder.released.set()
            if self._holders.get(params.name) is holder:
                del self._holders[params.name]

    async def renew(self, params: RenewParams, _exchange: Exchange[Empty]) -> RenewResult:
        """Take a sign of life. Raises ControlError (NOT_FOUND) if that process is not the node."""
        holder = self._holders.get(params.name)
        unknown = self._store.get("Node", "", params.name) is None  # somebody deleted it
        if unknown or holder is None or holder.registration.instance != params.instance:
            raise ControlError(ErrorCode.NOT_FOUND, f'node "{params.name}" is not registered; register it again')
        self._extend(params.name)
        self._set_ready(params.name, _ready())
        await self._committer.flush()
        return RenewResult(epoch=self._epoch)

    async def run(self) -> None:
        """Note which nodes' leases end, until cancelled."""
        late = 0.0
        while True:
            while not self._deadlines:
                self._leased = trio.Event()
                await self._leased.wait()
            # Renewals only move deadlines on, so what was the earliest is no later than any of them.
            late = await lag.sleep_until(min(*self._deadlines.values(), trio.current_time() + lag.pace(late)))
            for name, deadline in self._deadlines.items():
                self._deadlines[name] = lag.extended(deadline, late, RENEW_INTERVAL)
            now = trio.current_time()
            for name in [name for name, deadline in self._deadlines.items() if deadline <= now]:
                del self._deadlines[name]
                self._expire(name)

    async def _claim(self, params: NodeRegistration) -> _Holder:
        """Make a process the holder of its name; one whose lease has ended loses it.

        The end of a killed process may be noticed later than its successor comes, so that is waited for a little.
        """
        deadline = trio.current_time() + RENEW_INTERVAL
        while (other := self._rival(params)) is not None:
            with trio.move_on_at(deadline):
                await other.released.wait()
                continue
            first = other.registration
            place = f"process {first.pid}, underlay {first.underlay_host}:{first.underlay_port}"
            raise ControlError(
                ErrorCode.ALREADY_EXISTS,
                f'node "{params.name}" is registered already ({place}); stop that one or choose another name',
            )
        holder = self._holders[params.name] = _Holder(params)
        return holder

    def _rival(self, params: NodeRegistration) -> _Holder | None:
        holder = self._holders.get(params.name)
        if holder is None or params.name not in self._deadlines or holder.released.is_set():
            return None
        return None if holder.registration.instance == params.instance else holder

    def _write(self, params: NodeRegistration) -> Object:
        obj = self._store.get("Node", "", params.name)
        with self._store.transaction():
            if obj is None:
                obj = self._create(params.name, params.zone, params.labels)
            metadata = obj["metadata"]
            labels = {**(metadata.get("labels") or {}), **_labels(params.name, params.zone, params.labels)}
            annotations = {
                **(metadata.get("annotations") or {}),
                UNDERLAY_ANNOTATION: f"{params.underlay_host}:{params.underlay_port}",
                MAC_ANNOTATION: params.mac,
            }
            self._store.replace({**obj, "metadata": {**metadata, "labels": labels, "annotations": annotations}})
            self._extend(params.name)
            self._set_ready(params.name, _ready())
        self._logger.info("node %s registered", params.name, extra={"process_id": params.pid})
        return self._store.need("Node", "", params.name)

    def _create(self, name: str, zone: str, labels: dict[str, str]) -> Object:
        """Create a Node with a pod CIDR and an address of its own. Raises ControlError when none is left."""
        taken_cidrs, taken_addresses = self._taken()
        config = self._config
        cidr = free_pod_cidr(config.pod_cidr, config.node_cidr_mask, taken_cidrs)
        address = free_node_address(config.node_network, taken_addresses)
        if cidr is None or address is None:
            used_up = f"pod_cidr {config.pod_cidr}" if cidr is None else f"node_network {config.node_network}"
            message = f'node "{name}" is refused: no addresses are left in {used_up}; start with a larger one'
            raise ControlError(ErrorCode.INVALID, message)
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": _labels(name, zone, labels)},
            "spec": {"podCIDR": str(cidr), "podCIDRs": [str(cidr)]},
        }
        with self._store.transaction():
            self._store.create(node)
            status = _status(name, address, with_condition([], _not_registered(), rfc3339(self._clock())))
            return self._store.update_status(Reference("Node", "", name), status)

    def _taken(self) -> tuple[list[IPv4Network], set[IPv4Address]]:
        cidrs, addresses = [], {host.address for host in plan_hosts(self._config) if host.network == NODE}
        for node in self._store.list("Node"):
            if node.get("spec", {}).get("podCIDR"):
                cidrs.append(IPv4Network(node["spec"]["podCIDR"]))
            for entry in node.get("status", {}).get("addresses", ()):
                if entry["type"] == "InternalIP":
                    addresses.add(IPv4Address(entry["address"]))
        return cidrs, addresses

    def _extend(self, name: str) -> None:
        self._deadlines[name] = trio.current_time() + LEASE_DURATION
        self._leased.set()

    def _expire(self, name: str) -> None:
        if self._store.get("Node", "", name) is None:
            return
        self._logger.warning("node %s gave no sign of life for %g s", name, LEASE_DURATION)
        self._set_ready(name, _lost())

    def _set_ready(self, name: str, condition: _Condition) -> None:
        node = self._store.get("Node", "", name)
        if node is None or _ready_status(node) == condition["status"]:
            return
        status = dict(node.get("status") or {})
        status["conditions"] = with_condition(status.get("conditions", []), condition, rfc3339(self._clock()))
        self._store.update_status(Reference("Node", "", name), status)


def _ready_status(node: Object) -> str:
    conditions = node.get("status", {}).get("conditions", ())
    return next((str(entry["status"]) for entry in conditions if entry["type"] == "Ready"), "Unknown")


def _ready() -> _Condition:
    message = "kubelet is posting ready status"
    return {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": message}


def _lost() -> _Condition:
    message = "Kubelet stopped posting node status."
    return {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": message}


def _not_registered() -> _Condition:
    message = "the node's process has not registered yet"
    return {"type": "Ready", "status": "False", "reason": NOT_REGISTERED, "message": message}


def _labels(name: str, zone: str, labels: dict[str, str]) -> dict[str, str]:
    """What kubelet and node controller label a node with, the deprecated names included: manifests select by all."""
    result = {HOSTNAME_LABEL: name}
    for prefix in ("kubernetes.io", "beta.kubernetes.io"):
        result |= {f"{prefix}/arch": ARCHITECTURE, f"{prefix}/os": "linux"}
    result |= labels
    return {**result, ZONE_LABEL: zone} if zone else result


def _status(name: str, address: IPv4Address, conditions: list[_Condition]) -> Object:
    version = f"v{emulator.__version__}+podwire"
    info = dict.fromkeys(("bootID", "machineID", "systemUUID", "kernelVersion", "osImage"), "")
    info |= {"architecture": ARCHITECTURE, "operatingSystem": "linux", "kubeletVersion": version}
    info |= {"kubeProxyVersion": version, "containerRuntimeVersion": f"podwire://{emulator.__version__}"}
    addresses = [{"type": "InternalIP", "address": str(address)}, {"type": "Hostname", "address": name}]
    sizes = {"pods": POD_CAPACITY}
    return {
        "addresses": addresses,
        "allocatable": sizes,
        "capacity": sizes,
        "conditions": conditions,
        "nodeInfo": info,
    }
