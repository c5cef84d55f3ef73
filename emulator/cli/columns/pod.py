"""The columns of `get pods`."""

from __future__ import annotations

from emulator.api.messages import Object
from emulator.api.pod_status import summarize
from emulator.cli.columns.columns import NONE, Columns, age


def _pod(pod: Object, now: float) -> list[str]:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    summary = summarize(pod)
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or ()]
    true = {entry["type"] for entry in status.get("conditions") or () if entry.get("status") == "True"}
    return [
        pod["metadata"]["name"],
        f"{summary.ready}/{summary.total}",
        summary.status,
        summary.restarts_text(now),
        age(pod, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{sum(gate in true for gate in gates)}/{len(gates)}" if gates else NONE,
    ]


POD = Columns(("NAME", "READY", "STATUS", "RESTARTS", "AGE"), ("IP", "NODE", "NOMINATED NODE", "READINESS GATES"), _pod)
