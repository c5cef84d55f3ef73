"""The fields of a pod that its containers may ask for, in variables and files.

Source: pkg/fieldpath and pkg/kubelet/kubelet_pods.go, `podFieldSelectorRuntimeValue`.
"""

from __future__ import annotations

import re

from emulator.api.objects.pod import Pod

_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def pod_field(pod: Pod, path: str, *, node_name: str, host_ip: str, address: str) -> str:
    """Return a field's text; "" for one that is not there."""
    keyed = _KEYED.fullmatch(path)
    if keyed is not None:
        return (pod.metadata.labels if keyed[1] == "labels" else pod.metadata.annotations).get(keyed[2], "")
    match path:
        case "metadata.labels":
            return _listed(pod.metadata.labels)
        case "metadata.annotations":
            return _listed(pod.metadata.annotations)
    return {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": node_name,
        "spec.serviceAccountName": pod.spec.service_account_name or "default",
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
        "status.podIP": address,
        "status.podIPs": address,
    }.get(path, "")


def _listed(values: dict[str, str]) -> str:
    """Write labels as a file of the downward API has them: sorted, values in quotes."""
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
