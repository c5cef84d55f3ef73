"""Gives Services of type LoadBalancer their addresses, as a cloud's controller does: from a pool, into their status.

From the status kube-proxy takes what to answer to. The load balancer itself, which brings packets from outside to a
node, is another machine's business.
Source: staging/src/k8s.io/cloud-provider/controllers/service/controller.go.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from emulator.api.objects.meta import Object
from emulator.kube.indexes import BALANCERS_BY_ADDRESS
from emulator.kube.ipam import parse_address
from emulator.kube.ownership import key_of, with_condition
from emulator.kube.reconciler import Change, Key, Moment, Reader, Requeue, UpdateStatus

PENDING = "podwire.dev/LoadBalancerPending"
"""Condition of Services that get no address; its message says why, and what to do."""


class LoadBalancerController:
    """Assigns and releases addresses. Services of another `loadBalancerClass` are left to whoever implements it."""

    watches = frozenset({"Service"})

    def __init__(self, pool: IPv4Network, cluster_networks: Iterable[IPv4Network]) -> None:
        self._pool = pool
        self._cluster_networks = tuple(cluster_networks)

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the Service and, where it held an address that nobody has any more, those that wait for one."""
        yield key_of(event)
        held = [*BALANCERS_BY_ADDRESS.values(event)]
        if any(address != "" and not reader.count(BALANCERS_BY_ADDRESS, address) for address in held):
            for service in reader.find(BALANCERS_BY_ADDRESS, ""):
                yield key_of(service)

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the status that the Service needs now, if it has another."""
        service = reader.get(key.kind, key.namespace, key.name)
        if service is None or service["metadata"].get("deletionTimestamp"):
            return []
        before: Object = service.get("status") or {}
        if service["spec"].get("type") != "LoadBalancer":
            after = _released(before)
        elif service["spec"].get("loadBalancerClass"):
            after = _without_condition(before)
        else:
            after = self._served(reader, service, before, moment.wall)
        if after == before:
            return []
        changes: list[Change] = [UpdateStatus(key, after)]
        if before.get("loadBalancer") and after.get("loadBalancer"):  # the address that it leaves may be another's
            changes += [Requeue(key_of(other), 0.0) for other in reader.find(BALANCERS_BY_ADDRESS, "")]
        return changes

    def _served(self, reader: Reader, service: Object, before: Object, wall: str) -> Object:
        ingress = before.get("loadBalancer", {}).get("ingress") or []
        wanted = service["spec"].get("loadBalancerIP") or ""
        if ingress and not (wanted and _is_another_vip(ingress, wanted)):
            return _without_condition(before)  # it has what it needs, or what somebody else wrote
        if wanted:
            reason, problem = self._unfit(reader, service, wanted)
        else:
            wanted = self._free(reader, service)
            reason = "" if wanted else "PoolExhausted"
            problem = f"no address is left in {self._pool}; delete a Service first"
        if not reason:
            status = _without_condition(before)
            return status | {"loadBalancer": {"ingress": [{"ip": wanted, "ipMode": "VIP"}]}}
        condition = {"type": PENDING, "status": "True", "reason": reason, "message": problem}
        conditions = with_condition(before.get("conditions") or [], condition, wall)
        return before | {"loadBalancer": {}, "conditions": conditions}

    def _unfit(self, reader: Reader, service: Object, wanted: str) -> tuple[str, str]:
        """Return why the Service cannot have the address that it asks for: a reason and a message, or two empty texts.

        Any address outside the cluster's networks will do, not only one of the pool.
        """
        address = parse_address(wanted)
        if address is None:
            return "AddressUnusable", f"spec.loadBalancerIP: {wanted} is no IPv4 address; choose one of {self._pool}"
        if address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified:
            return "AddressUnusable", f"spec.loadBalancerIP: {wanted} is no host's; choose one of {self._pool}"
        for network in self._cluster_networks:
            if address in network:
                return "AddressUnusable", (
                    f"spec.loadBalancerIP: {wanted} is of the cluster's own {network}; choose one of {self._pool}"
                )
        holder = next(_others(reader, service, wanted), "")
        if holder:
            return "AddressInUse", f"spec.loadBalancerIP: {wanted} belongs to Service {holder}; choose another"
        return "", ""

    def _free(self, reader: Reader, service: Object) -> str:
        """Return a free address of the pool, the first one looked at chosen by the Service's name; empty if none is."""
        # A network of one or two addresses (/32, /31) has no other use for its first and last one.
        small = self._pool.num_addresses <= 2
        band = range(0 if small else 1, self._pool.num_addresses - (0 if small else 1))
        start = zlib.crc32(_name(service).encode()) % len(band)
        for offset in (*band[start:], *band[:start]):
            address = str(IPv4Address(int(self._pool.network_address) + offset))
            if not reader.count(BALANCERS_BY_ADDRESS, address):
                return address
        return ""


def _is_another_vip(ingress: Iterable[Object], wanted: str) -> bool:
    """Whether the status is one such as we write, with another address than `wanted`."""
    entries = list(ingress)
    if len(entries) != 1 or entries[0].get("ipMode", "VIP") != "VIP":
        return False
    return bool(entries[0].get("ip")) and entries[0]["ip"] != wanted


def _others(reader: Reader, service: Object, address: str) -> Iterator[str]:
    for other in reader.find(BALANCERS_BY_ADDRESS, address):
        if _name(other) != _name(service):
            yield _name(other)


def _released(status: Object) -> Object:
    """Return the status of a Service that is no load balancer's any more."""
    status = _without_condition(status)
    return status | {"loadBalancer": {}} if status.get("loadBalancer") else status


def _without_condition(status: Object) -> Object:
    kept = [entry for entry in status.get("conditions") or () if entry["type"] != PENDING]
    if len(kept) == len(status.get("conditions") or ()):
        return status
    without: dict[str, Any] = {name: value for name, value in status.items() if name != "conditions"}
    return without | ({"conditions": kept} if kept else {})


def _name(service: Object) -> str:
    return f"{service['metadata'].get('namespace', '')}/{service['metadata']['name']}"
