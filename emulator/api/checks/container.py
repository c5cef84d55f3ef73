"""Containers of a pod: names, images, ports, environment, mounts and probes."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from emulator.api.checks import formats
from emulator.api.problem import Cursor

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def check_containers(spec: Cursor, claims: AbstractSet[str]) -> None:
    """Check all containers of a pod spec against each other and one by one; `claims` are further volumes."""
    volumes = {volume.get("name").text or "" for volume in spec.get("volumes")} | claims
    names: set[str] = set()
    for group in ("containers", "initContainers"):
        host_ports: set[object] = set()
        for container in spec.get(group):
            _check_name(container.get("name"), names)
            _check_container(container, volumes, host_network=spec.get("hostNetwork").value is True)
            _check_host_ports(container, host_ports)
    containers = spec.get("containers")
    if containers.value == []:
        containers.required()


def _check_name(name: Cursor, seen: set[str]) -> None:
    if name.text is None:
        return
    if not name.text:
        name.required()
    elif name.text in seen:
        name.duplicate()
    else:
        for problem in formats.label_1123(name.text):
            name.invalid(problem)
    seen.add(name.text)


def _check_container(container: Cursor, volumes: AbstractSet[str], *, host_network: bool) -> None:
    image = container.get("image")
    if not image.given:
        image.required()
    elif image.text is not None and image.text != image.text.strip():
        image.invalid("must not have leading or trailing whitespace")
    _check_ports(container.get("ports"), host_network=host_network)
    for variable in container.get("env"):
        _check_variable(variable)
    _check_mounts(container.get("volumeMounts"), volumes)
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        _check_probe(container.get(kind), kind)
    for hook in ("postStart", "preStop"):
        handler = container.get("lifecycle", hook)
        if isinstance(handler.value, dict):
            _check_handler(handler)


def _check_ports(ports: Cursor, *, host_network: bool) -> None:
    names: set[str] = set()
    for port in ports:
        name = port.get("name")
        if name.text:
            for problem in formats.port_name(name.text):
                name.invalid(problem)
            if name.text in names:
                name.duplicate()
            names.add(name.text)
        number = port.get("containerPort")
        _check_port_number(number)
        host_port = port.get("hostPort")
        if host_port.number:
            _check_port_number(host_port)
            if host_network and host_port.number != number.number:
                number.invalid("must match `hostPort` when `hostNetwork` is true")
        host_ip = port.get("hostIP")
        for problem in formats.ip_address(host_ip.text) if host_ip.text else ():
            host_ip.invalid(problem)


def _check_port_number(port: Cursor) -> None:
    if port.number is not None:
        for problem in formats.port_number(port.number):
            port.invalid(problem)


def _check_host_ports(container: Cursor, seen: set[object]) -> None:
    for port in container.get("ports"):
        host_port = port.get("hostPort")
        if not host_port.number:
            continue
        key = (host_port.number, port.get("protocol").text or "TCP", port.get("hostIP").text or "")
        if key in seen:
            host_port.duplicate()
        seen.add(key)


def _check_variable(variable: Cursor) -> None:
    name = variable.get("name")
    if name.text == "":
        name.required()
    elif name.text is not None and ("=" in name.text or not name.text.isprintable()):
        name.invalid("a valid environment variable name must consist only of printable characters other than '='")
    source = variable.get("valueFrom")
    if variable.get("value").given and source.given:
        source.invalid("may not be specified when `value` is not empty")
    if isinstance(source.value, dict) and len(source.value) != 1:
        source.invalid("must specify exactly one source")


def _check_mounts(mounts: Cursor, volumes: AbstractSet[str]) -> None:
    paths: set[str] = set()
    for mount in mounts:
        name = mount.get("name")
        if name.text is not None and name.text not in volumes:
            name.not_found()
        path = mount.get("mountPath")
        if path.text in paths:
            path.invalid("must be unique")
        if path.text is not None:
            paths.add(path.text)


def _check_probe(probe: Cursor, kind: str) -> None:
    if not isinstance(probe.value, dict):
        return
    _check_handler(probe)
    for name in _PROBE_NUMBERS:
        number = probe.get(name)
        if number.number is not None and number.number < 0:
            number.invalid("must be greater than or equal to 0")
    threshold = probe.get("successThreshold")
    if kind != "readinessProbe" and threshold.number not in (None, 0, 1):
        threshold.invalid("must be 1")


def _check_handler(handler: Cursor) -> None:
    """Check that exactly one action is given, and its port."""
    given = [name for name in _HANDLERS if handler.get(name).value is not None]
    if not given:
        handler.required("must specify a handler type")
    for name in given[1:]:
        handler.get(name).forbidden("may not specify more than 1 handler type")
    for name in given:
        port = handler.get(name, "port")
        _check_port_number(port)
        if port.text is not None:
            for problem in formats.port_name(port.text):
                port.invalid(problem)
    command = handler.get("exec", "command")
    if "exec" in given and not command.given:
        command.required()
