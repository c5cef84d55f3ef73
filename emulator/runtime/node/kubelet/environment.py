"""The environment of a container as the kubelet makes it, and `$(VAR)` in its command line.

Source: pkg/kubelet/kubelet_pods.go (`makeEnvironmentVariables`), pkg/kubelet/envvars,
third_party/forked/golang/expansion.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from emulator.api.objects.container import Container, EnvVar
from emulator.api.objects.service import Service
from emulator.errors import PodwireError
from emulator.runtime.machine.inside import PATH
from emulator.runtime.node.kubelet.mounts import GetObject, contents_of

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
MOST_LINKED = 5_000
"""Services whose variables fit in what execve(2) takes, 2 MiB; with more of them a real container does not start."""
_NO_ADDRESS = frozenset({"", "None"})


class MissingReferenceError(PodwireError):
    """A ConfigMap, a Secret or a key of one that a container needs and that is not there; in the kubelet's words."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value, if it has one; `$$` is a `$`."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] is None else values.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def service_variables(services: Iterable[Service], namespace: str) -> dict[str, str]:
    """Return what tells of the Services of a namespace: `WEB_SERVICE_HOST`, `WEB_PORT` and their like."""
    values: dict[str, str] = {}
    for service in sorted(services, key=lambda each: each.metadata.name):
        address, ports = service.spec.cluster_ip, service.spec.ports
        if service.metadata.namespace != namespace or address in _NO_ADDRESS or not ports:
            continue
        name = _variable(service.metadata.name)
        host = f"[{address}]" if ":" in address else address
        values[f"{name}_SERVICE_HOST"] = address
        values[f"{name}_SERVICE_PORT"] = str(ports[0].port)
        values[f"{name}_PORT"] = f"{ports[0].protocol.lower()}://{host}:{ports[0].port}"
        for port in ports:
            if port.name:
                values[f"{name}_SERVICE_PORT_{_variable(port.name)}"] = str(port.port)
            link = f"{name}_PORT_{port.port}_{port.protocol}"
            values[link] = f"{port.protocol.lower()}://{host}:{port.port}"
            values[f"{link}_PROTO"] = port.protocol.lower()
            values[f"{link}_PORT"] = str(port.port)
            values[f"{link}_ADDR"] = address
    return values


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def joined(own: Mapping[str, str], shared: Mapping[str, str]) -> Mapping[str, str]:
    """Return variables over those that many containers share, which are not copied for each."""
    return ChainMap(cast("dict[str, str]", own), cast("dict[str, str]", shared)) if shared else own


class ServiceLinks:
    """The variables of Services by namespace, made once for all containers that start before a Service changes."""

    def __init__(self, services: Callable[[], Iterable[Service]]) -> None:
        self._services = services
        self._made: dict[str, Mapping[str, str]] = {}

    def clear(self) -> None:
        """A Service came, changed or went."""
        self._made.clear()

    def of(self, namespace: str) -> Mapping[str, str]:
        """Return those of a namespace; none where there are so many Services that no program could be started."""
        if namespace not in self._made:
            found = [each for each in self._services() if each.metadata.namespace == namespace]
            self._made[namespace] = service_variables(found, namespace) if len(found) <= MOST_LINKED else {}
        return self._made[namespace]


class EnvironmentMaker:
    """Makes the variables of containers of one pod: `field` gives the pod's fields, `get` objects of the cluster."""

    def __init__(self, namespace: str, hostname: str, get: GetObject, field: Callable[[str], str]) -> None:
        self._namespace = namespace
        self._hostname = hostname
        self._get = get
        self._field = field
        self._strict = True

    async def make(
        self, container: Container, services: Mapping[str, str], *, strict: bool = True
    ) -> Mapping[str, str]:
        """Return all variables. MissingReferenceError; if not `strict`, those that refer to nothing are left out."""
        self._strict = strict
        values: dict[str, str] = {}
        for source in container.env_from:
            for kind, reference in (("ConfigMap", source.config_map_ref), ("Secret", source.secret_ref)):
                if reference is None:
                    continue
                data = await self._data(kind, reference.name, optional=reference.optional)
                values.update({source.prefix + key: text for key, text in data.items() if _NAME.fullmatch(key)})
        for variable in container.env:
            value = await self._value(variable, joined(values, services))
            if value is not None:
                values[variable.name] = value
        own = {"PATH": PATH, "HOME": "/root", "HOSTNAME": self._hostname} | values
        return joined(own, services)

    async def _value(self, variable: EnvVar, known: Mapping[str, str]) -> str | None:
        source = variable.value_from
        if source is None:
            return expand(variable.value, known)
        if source.field_ref is not None:
            return self._field(source.field_ref.field_path)
        for kind, reference in (("ConfigMap", source.config_map_key_ref), ("Secret", source.secret_key_ref)):
            if reference is None:
                continue
            data = await self._data(kind, reference.name, optional=reference.optional)
            if reference.key in data or reference.optional or not self._strict:
                return data.get(reference.key)
            raise MissingReferenceError(
                f"couldn't find key {reference.key} in {kind} {self._namespace}/{reference.name}"
            )
        return None

    async def _data(self, kind: str, name: str, *, optional: bool) -> dict[str, str]:
        found = await self._get(kind, self._namespace, name)
        if found is None and not optional and self._strict:
            raise MissingReferenceError(f'{kind.lower()} "{name}" not found')
        return {key: data.decode("utf-8", "surrogateescape") for key, data in contents_of(found or {}).items()}
