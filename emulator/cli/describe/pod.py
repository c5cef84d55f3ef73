"""The description of a pod: its containers, their states and probes, and what counts as passed without being run."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.api.messages import Object
from emulator.api.pod_status import summarize
from emulator.cli.describe.page import NONE, Page, conditions, head


def describe_pod(page: Page, pod: Object) -> None:
    """Write the page of a pod."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    head(page, pod)
    page.add("Node", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else NONE)
    page.add("Start Time", status.get("startTime") or NONE)
    page.add("Status", summarize(pod).status)
    if status.get("message"):
        page.add("Message", status["message"])
    page.add("IP", status.get("podIP") or NONE)
    page.add("Restart Policy", spec.get("restartPolicy", "Always"))
    states = {
        entry["name"]: entry
        for key in ("initContainerStatuses", "containerStatuses")
        for entry in status.get(key) or ()
    }
    for title, key in (("Init Containers", "initContainers"), ("Containers", "containers")):
        if spec.get(key):
            page.add(title)
            for container in spec[key]:
                _container(page, container, states.get(container["name"], {}))
    conditions(page, pod)


def container_ports(container: Object) -> str:
    """Return `80/TCP, 53/UDP`."""
    ports = container.get("ports") or ()
    return ", ".join(f"{port['containerPort']}/{port.get('protocol', 'TCP')}" for port in ports) or NONE


def _container(page: Page, container: Object, status: Object) -> None:
    page.add(container["name"], depth=1)
    page.add("Image", container.get("image", ""), 2)
    page.add("Ports", container_ports(container), 2)
    for title, key in (("Command", "command"), ("Args", "args")):
        if container.get(key):
            page.add_list(title, [str(word) for word in container[key]], 2)
    _state(page, "State", status.get("state") or {"waiting": {"reason": "ContainerCreating"}})
    if status.get("lastState"):
        _state(page, "Last State", status["lastState"])
    page.add("Ready", str(bool(status.get("ready"))), 2)
    page.add("Restart Count", status.get("restartCount", 0), 2)
    for title, key in (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        if container.get(key):
            page.add(title, probe_text(container[key]), 2)
    env = [f"{entry['name']}={entry.get('value', '(from elsewhere)')}" for entry in container.get("env") or ()]
    if env:
        page.add_list("Environment", env, 2)


def _state(page: Page, title: str, state: Mapping[str, Object]) -> None:
    word, detail = next(iter(state.items()), ("waiting", {}))
    page.add(title, word.capitalize(), 2)
    names = (
        ("Reason", "reason"),
        ("Message", "message"),
        ("Exit Code", "exitCode"),
        ("Started", "startedAt"),
        ("Finished", "finishedAt"),
    )
    for name, key in names:
        if detail.get(key) not in (None, ""):
            page.add(name, detail[key], 3)


def probe_text(probe: Object) -> str:
    """Return a probe as kubectl describes it."""
    if http := probe.get("httpGet"):
        scheme = str(http.get("scheme", "HTTP")).lower()
        action = f"http-get {scheme}://{http.get('host', '')}:{http.get('port')}{http.get('path', '/')}"
    elif tcp := probe.get("tcpSocket"):
        action = f"tcp-socket {tcp.get('host', '')}:{tcp.get('port')}"
    elif grpc := probe.get("grpc"):
        action = f"grpc <pod>:{grpc.get('port')}"
    else:
        action = f"exec {probe.get('exec', {}).get('command', [])}"
    times = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    return f"{action} {times}"
