"""The files of ConfigMap volumes, as a container finds them under its mounts; read anew at each look.

Source: pkg/volume/configmap. A real kubelet brings a change into the files within about a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulator.api.objects.container import Container
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod, Volume

GetObject = Callable[[str, str, str], Awaitable[Object | None]]
"""Asks for an object by kind, namespace and name; None if there is none."""


class MountedFiles:
    """What one container can read."""

    def __init__(self, pod: Pod, container: Container, get_object: GetObject) -> None:
        self._namespace = pod.metadata.namespace
        self._volumes = {volume.name: volume for volume in pod.spec.volumes}
        self._mounts = container.volume_mounts
        self._get = get_object

    async def read(self, path: str) -> str | None:
        """Return a file's text, or None if there is none."""
        for mount in self._mounts:
            volume = self._volumes.get(mount.name)
            folder = mount.mount_path.rstrip("/")
            if volume is None or volume.config_map is None:
                continue
            if mount.sub_path and path == folder:
                return await self._file(volume, mount.sub_path)
            if not mount.sub_path and path.startswith(f"{folder}/"):
                return await self._file(volume, path.removeprefix(f"{folder}/"))
        return None

    async def _file(self, volume: Volume, path: str) -> str | None:
        source = volume.config_map
        assert source is not None
        config_map = await self._get("ConfigMap", self._namespace, source.name)
        keys = {item.path: item.key for item in source.items}
        key = keys.get(path) if source.items else path
        value = ((config_map or {}).get("data") or {}).get(key)
        return value if isinstance(value, str) else None
