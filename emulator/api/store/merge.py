"""How changes are laid upon stored objects: JSON merge patches, and the three-way merge of `apply`.

Nothing here changes its arguments; results may share parts with them, since stored objects are never changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

JsonMap = Mapping[str, Any]

# Which field tells the elements of a list apart (Kubernetes' patchMergeKey), by the list's name. Lists that are not
# here are atomic. Where two are given, an element may lack the later ones.
_MERGE_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "containers": ("name",),
        "initContainers": ("name",),
        "ephemeralContainers": ("name",),
        "volumes": ("name",),
        "env": ("name",),
        "volumeMounts": ("mountPath",),
        "volumeDevices": ("devicePath",),
        "imagePullSecrets": ("name",),
        "secrets": ("name",),
        "hostAliases": ("ip",),
        "ports": ("containerPort", "port", "protocol"),
        "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
        "ownerReferences": ("uid",),
        "conditions": ("type",),
        "taints": ("key", "effect"),
    }
)

# Maps of which only what is said remains (patchStrategy retainKeys): another type of strategy has other fields.
_RETAINED_ONLY = frozenset({"strategy"})


def merge_patch(target: JsonMap, patch: JsonMap) -> dict[str, Any]:
    """Return `target` with a JSON merge patch applied: null removes, maps merge, all else replaces (RFC 7386)."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            old = result.get(key)
            result[key] = merge_patch(old if isinstance(old, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def three_way(original: JsonMap, modified: JsonMap, current: JsonMap) -> dict[str, Any]:
    """Return `current` as `apply` changes it.

    What `modified` says is set; what `original` (the configuration applied last) said and `modified` does not is
    removed; what only others set (defaults, controllers) stays. A null in `modified` removes.
    """
    result = {key: value for key, value in current.items() if key not in original or key in modified}
    for key, value in modified.items():
        if value is None:
            result.pop(key, None)
            continue
        result[key] = _merge_value(key, original.get(key), value, current.get(key))
    return result


def _merge_value(name: str, original: Any, modified: Any, current: Any) -> Any:
    if isinstance(modified, Mapping):
        now = current if isinstance(current, Mapping) else {}
        if name in _RETAINED_ONLY:
            now = {key: value for key, value in now.items() if key in modified}
        return three_way(original if isinstance(original, Mapping) else {}, modified, now)
    if isinstance(modified, list) and isinstance(current, list) and name in _MERGE_KEYS:
        keys = _MERGE_KEYS[name]
        if all(_identity(element, keys) for element in (*modified, *current)):
            return _merge_list(keys, original if isinstance(original, list) else [], modified, current)
    return modified


def _identity(element: Any, keys: Sequence[str]) -> tuple[Any, ...]:
    """Return what tells `element` apart; empty if it has none of the keys. A port without protocol is a TCP port."""
    if not isinstance(element, Mapping) or not any(key in element for key in keys):
        return ()
    return tuple(element.get(key, "TCP" if key == "protocol" else None) for key in keys)


def _merge_list(
    keys: Sequence[str], original: list[Any], modified: list[Any], current: list[Any]
) -> list[dict[str, Any]]:
    """Merge element by element: in the order of `modified`, then those that only `current` has."""
    before = {_identity(element, keys): element for element in original if isinstance(element, Mapping)}
    now = {_identity(element, keys): element for element in current}
    wanted = {_identity(element, keys): element for element in modified}
    merged = [three_way(before.get(key, {}), element, now.get(key, {})) for key, element in wanted.items()]
    return merged + [element for key, element in now.items() if key not in wanted and key not in before]
