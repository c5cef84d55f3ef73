"""The files of `-f` and of a cluster file, read and checked as a whole before anything is done with them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from emulator.api.custom_kinds import DEFINITION, UNDEFINED, defined_kinds
from emulator.api.kinds import Kind, kind_of
from emulator.api.manifest import SUFFIXES, ManifestObject, read_manifest, read_manifests
from emulator.api.messages import Object
from emulator.api.problem import printable
from emulator.cli.output import note
from emulator.errors import ManifestError

STDIN = "-"
KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml"})
"""Files in a directory of manifests that have no objects, but rules for kustomize."""
URLS = ("http://", "https://")
FIRST_NAMESPACES = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
"""Those that every cluster has from its start."""


def read_files(
    names: Sequence[str], *, recursive: bool = False, remarks: list[str] | None = None
) -> list[ManifestObject]:
    """Read files, directories and `-`, the standard input. Raises ManifestError with the problems of all of them.

    With `remarks`, what only the API server refuses is told there and the object is taken; custom resources are passed
    over.
    """
    objects: list[ManifestObject] = []
    problems: list[str] = []
    for name in names:
        try:
            if name.startswith(URLS):
                problems.append(f"{printable(name)}: URLs are not fetched; download the file and name it here")
            elif name == STDIN:
                objects += read_manifest(sys.stdin.buffer, "standard input", remarks)
            else:
                objects += read_manifests(_files(Path(name), recursive=recursive), remarks)
        except ManifestError as error:
            problems += error.problems
    if problems:
        raise ManifestError(problems)
    return objects


def _files(path: Path, *, recursive: bool) -> list[Path]:
    if not path.is_dir():
        return [path]
    entries = path.rglob("*") if recursive else path.iterdir()
    found = sorted(entry for entry in entries if entry.suffix in SUFFIXES and entry.is_file())
    files = [file for file in found if file.name not in KUSTOMIZATIONS]
    for file in found:
        if file.name in KUSTOMIZATIONS:
            note(f"note: {printable(str(file))} is left out: it is for kustomize; what its rules make, name as a file")
    if not files:
        below = "" if recursive else "; for those in its directories add -R"
        raise ManifestError([f"{printable(str(path))}: has no files that end in {', '.join(SUFFIXES)}{below}"])
    return files


def check_places(objects: Sequence[ManifestObject], nodes: Collection[str], namespaces: Collection[str]) -> None:
    """Check that the nodes and namespaces that objects name exist, or are created with them. Raises ManifestError."""
    problems: list[str] = []
    created, created_nodes = (
        {item.object["metadata"]["name"] for item in objects if kind_of_object(item.object).key == key}
        for key in ("Namespace", "Node")
    )
    for item in objects:
        path, node = _node_name(item.object)
        if node and node not in nodes and node not in created_nodes:
            known = ", ".join(sorted(nodes))
            problems.append(f'{item.place}: {path}: there is no node "{printable(node)}"; the nodes are: {known}')
        namespace = item.object["metadata"].get("namespace", "")
        if namespace and namespace not in namespaces and namespace not in created:
            problems.append(
                f'{item.place}: metadata.namespace: there is no namespace "{namespace}"; add a Namespace object'
            )
    if problems:
        raise ManifestError(problems)


def _node_name(obj: Object) -> tuple[str, str]:
    """Return the path and value of the node that a pod, or the pods of a workload, shall run on."""
    if kind_of_object(obj).key not in _POD_MAKERS:
        return "", ""
    spec, path = obj.get("spec") or {}, "spec"
    if "template" in spec:
        spec, path = (spec["template"] or {}).get("spec") or {}, "spec.template.spec"
    return f"{path}.nodeName", str(spec.get("nodeName") or "")


_POD_MAKERS = frozenset({"Pod", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"})


def kind_of_object(obj: Object) -> Kind:
    """Return the kind of an object that has been checked."""
    kind = kind_of(obj["apiVersion"], obj["kind"])
    assert kind is not None
    return kind


def described(obj: Object) -> str:
    """Return `deployment.apps/web`."""
    return kind_of_object(obj).described(obj["metadata"]["name"])


def kept_notes(objects: Sequence[Object], custom: Iterable[Kind] | None = None) -> list[str]:
    """Return one line for each kind among the objects that has no effect here.

    `custom` are the custom kinds of the cluster; those that the objects themselves define are, where there is none.
    """
    if custom is None:
        custom = [kind for obj in objects if obj["kind"] == DEFINITION for kind in defined_kinds(obj)]
    defined = {kind.key: kind for kind in custom}
    by_kind: dict[str, tuple[Kind, list[str]]] = {}
    for obj in objects:
        kind = kind_of_object(obj)
        if kind.custom:
            kind = defined.get(kind.key) or replace(kind, note=UNDEFINED)
        if kind.kept_note:
            by_kind.setdefault(kind.resource, (kind, []))[1].append(obj["metadata"]["name"])
    return [f"{kind.resource} {', '.join(names)}: {kind.kept_note}" for kind, names in by_kind.values()]
