"""The volumes of a pod, as its containers find them under their mounts; ConfigMaps and Secrets are read at each look.

Source: pkg/volume/configmap, secret, downwardapi, projected, emptydir. A real kubelet brings a change into the files
within about a minute.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from emulator.api.objects.container import Container
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import DownwardApiVolumeSource, KeyToPath, Pod, Volume
from emulator.apps.filesystem import Mount, Tree

GetObject = Callable[[str, str, str], Awaitable[Object | None]]
"""Asks for an object by kind, namespace and name; None if there is none."""

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class _Part(Struct, frozen=True):
    """A ConfigMap or Secret, and which of its keys are files."""

    kind: str
    name: str
    items: tuple[KeyToPath, ...]


class VolumeFiles:
    """The files of one volume."""

    def __init__(self, volume: Volume, namespace: str, get_object: GetObject, pod_field: Callable[[str], str]) -> None:
        self._namespace = namespace
        self._get = get_object
        self._field = pod_field
        self._parts = tuple(_parts(volume))
        self._fields = tuple(_fields(volume))

    async def contents(self) -> Mapping[str, bytes]:
        """Return the files by their path."""
        files: dict[str, bytes] = {}
        for part in self._parts:
            data = contents_of(await self._get(part.kind, self._namespace, part.name) or {})
            chosen = {item.path: item.key for item in part.items} or {key: key for key in data}
            files.update({path: data[key] for path, key in chosen.items() if key in data})
        for source in self._fields:
            for item in source.items:
                if item.field_ref is not None:
                    files[item.path] = self._field(item.field_ref.field_path).encode()
        return files


class ServiceAccountFiles:
    """What of a service account's files is true here: the namespace. There is no API server, so no token for it."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    async def contents(self) -> Mapping[str, bytes]:
        """Return the file."""
        return {"namespace": self._namespace.encode()}


def contents_of(obj: Object) -> dict[str, bytes]:
    """Return what a ConfigMap or a Secret holds, by key."""
    is_secret = obj.get("kind") == "Secret"
    values = {
        key: base64.b64decode(text) if is_secret else str(text).encode()
        for key, text in (obj.get("data") or {}).items()
    }
    values.update({key: base64.b64decode(text) for key, text in (obj.get("binaryData") or {}).items()})
    values.update({key: str(text).encode() for key, text in (obj.get("stringData") or {}).items()})
    return values


def _parts(volume: Volume) -> list[_Part]:
    parts: list[_Part] = []
    if volume.config_map is not None:
        parts.append(_Part("ConfigMap", volume.config_map.name, volume.config_map.items))
    if volume.secret is not None:
        parts.append(_Part("Secret", volume.secret.secret_name, volume.secret.items))
    for source in volume.projected.sources if volume.projected is not None else ():
        for kind, found in (("ConfigMap", source.config_map), ("Secret", source.secret)):
            if found is not None:
                parts.append(_Part(kind, found.name, found.items))
    return parts


def _fields(volume: Volume) -> list[DownwardApiVolumeSource]:
    found = [volume.downward_api] if volume.downward_api is not None else []
    for source in volume.projected.sources if volume.projected is not None else ():
        found += [source.downward_api] if source.downward_api is not None else []
    return found


def mounts_of(
    pod: Pod, container: Container, trees: dict[str, Tree], get_object: GetObject, pod_field: Callable[[str], str]
) -> list[Mount]:
    """Return what a container has mounted. `trees` are the volumes of its pod that can be written, made here."""
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    namespace = pod.metadata.namespace
    found = [Mount(_ACCOUNT, ServiceAccountFiles(namespace), read_only=True)]
    for mount in container.volume_mounts:
        volume = volumes.get(mount.name)
        if volume is None:
            continue
        path = mount.mount_path.rstrip("/") or "/"
        source = volume.config_map or volume.secret or volume.downward_api or volume.projected
        if source is None:
            tree = trees.setdefault(mount.name, Tree())
            found.append(Mount(path, tree, mount.sub_path, read_only=mount.read_only))
        else:
            files = VolumeFiles(volume, namespace, get_object, pod_field)
            found.append(Mount(path, files, mount.sub_path, mode=source.default_mode, read_only=True))
    return found
