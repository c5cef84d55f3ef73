"""kube-proxy's configuration as clusters keep it: the ConfigMap `kube-proxy` of kube-system, as kubeadm installs it.

Its key `config.conf` has a KubeProxyConfiguration; `configuration_text` says what of it has effect here. A kube-proxy
whose file changes ends and is started again; a node here changes its mode and settings in one moment.
"""

from __future__ import annotations

import re

from emulator.api.objects.meta import Object
from emulator.kube.proxy.settings import ProxySettings

NAMESPACE = "kube-system"
NAME = "kube-proxy"
KEY = "config.conf"
DEFAULT_MODE = "iptables"
"""What an empty mode means on Linux."""

# One line of block YAML at the outermost level: nodes need no parser for it, nor for a text that has nothing else.
_MODE = re.compile(r"""^mode:[ \t]*(?:"(\w*)"|'(\w*)'|(\w*))[ \t]*(?:\#.*)?$""", re.MULTILINE)

_PLAIN = re.compile(r"(?:apiVersion|kind|mode):.*")


def config_map(mode: str) -> Object:
    """Return the ConfigMap of a cluster whose nodes run a mode."""
    text = f"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: {mode}\n"
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": {"app": "kube-proxy"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: text}}


def is_configuration(obj: Object) -> bool:
    """Whether an object is this ConfigMap."""
    metadata = obj["metadata"]
    return (obj["kind"], metadata.get("namespace"), metadata["name"]) == ("ConfigMap", NAMESPACE, NAME)


def mode_of(obj: Object) -> str:
    """Return the mode that the ConfigMap asks for."""
    found = _MODE.search((obj.get("data") or {}).get(KEY, ""))
    return next(filter(None, found.groups()), DEFAULT_MODE) if found is not None else DEFAULT_MODE


def settings_of(obj: Object, base: ProxySettings) -> ProxySettings:
    """Return `base` with what the ConfigMap asks for. Raises ConfigurationError."""
    text = (obj.get("data") or {}).get(KEY, "")
    if all(_PLAIN.fullmatch(line) for line in text.splitlines() if line):
        return base
    from emulator.kube.proxy.configuration_text import read_settings

    return read_settings(text, mode_of(obj), base)


def with_mode(obj: Object, mode: str) -> Object:
    """Return the ConfigMap with another mode, and all else as it was."""
    text = (obj.get("data") or {}).get(KEY, "")
    line = f"mode: {mode}"
    text = _MODE.sub(line, text, count=1) if _MODE.search(text) else f"{text.rstrip()}\n{line}\n".lstrip()
    return {**obj, "data": {**(obj.get("data") or {}), KEY: text}}
