"""Which columns `get` shows of each kind, as kubectl does (pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from importlib import import_module

from emulator.cli.columns.columns import Columns, name_and_age

OTHER = Columns(("NAME", "AGE"), (), name_and_age)
"""Of kinds whose content nobody reads here."""

_BY_KIND = {
    "ClusterRole": "cluster:ROLE",
    "ClusterRoleBinding": "cluster:ROLE_BINDING",
    "ConfigMap": "cluster:CONFIG_MAP",
    "CronJob": "workload:CRON_JOB",
    "DaemonSet": "workload:DAEMON_SET",
    "Deployment": "workload:DEPLOYMENT",
    "EndpointSlice": "network:ENDPOINT_SLICE",
    "Endpoints": "network:ENDPOINTS",
    "Event": "cluster:EVENT",
    "Ingress": "network:INGRESS",
    "Job": "workload:JOB",
    "Namespace": "cluster:NAMESPACE",
    "NetworkPolicy": "network:NETWORK_POLICY",
    "Node": "cluster:NODE",
    "Pod": "pod:POD",
    "ReplicaSet": "workload:REPLICA_SET",
    "ReplicationController": "workload:REPLICA_SET",
    "Role": "cluster:ROLE",
    "RoleBinding": "cluster:ROLE_BINDING",
    "Secret": "cluster:SECRET",
    "Service": "network:SERVICE",
    "ServiceAccount": "cluster:SERVICE_ACCOUNT",
    "StatefulSet": "workload:STATEFUL_SET",
}


def columns_of(kind: str) -> Columns:
    """Return the columns of a kind such as `Pod`; only the module that has them is imported."""
    place = _BY_KIND.get(kind)
    if place is None:
        return OTHER
    module, _, name = place.partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), name)
    assert isinstance(found, Columns)
    return found
