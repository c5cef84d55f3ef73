"""Kubernetes manifests -> checked objects, each with the file and line it came from.

What `emulator apply` and the cluster file's `manifests` read. Everything that is wrong in all files is found at
once; if anything is, nothing comes back, so that nothing is applied by halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from emulator.api.kinds import is_foreign, is_list, kind_of
from emulator.api.objects.meta import Object
from emulator.api.problem import Problem, format_path, printable
from emulator.api.validate import examine, validate
from emulator.api.yaml.compose import compose
from emulator.api.yaml.node import MappingNode, Node, ScalarNode, SequenceNode, line_of, node_at, to_value
from emulator.errors import ManifestError

MAX_BYTES = 16 * 1024 * 1024
"""Size of one file at most; 10,000 Services with their Deployments take about 8 MB."""

SUFFIXES = (".yaml", ".yml", ".json")
"""What is read of a directory, as kubectl does."""


_TAKEN = "; the API server would refuse this, here it is read all the same"


class ManifestObject(Struct, frozen=True):
    """An object that is fit to be kept, and where it was written."""

    object: Object
    source: str
    line: int

    @property
    def place(self) -> str:
        """File and line, as messages show them."""
        return f"{self.source}:{self.line}"


def read_manifests(paths: Iterable[str | Path], remarks: list[str] | None = None) -> list[ManifestObject]:
    """Read files, or all manifests of directories. Raises ManifestError with the problems of all of them.

    With `remarks`, what only the API server refuses is told there and the object is taken; custom resources are passed
    over.
    """
    objects: list[ManifestObject] = []
    problems: list[str] = []
    for path in paths:
        try:
            files = _files(Path(path))
            for file in files:
                with file.open("rb") as stream:
                    _collect(stream, str(file), objects, problems, remarks)
        except OSError as error:
            problems.append(f"{printable(str(error.filename or path))}: cannot be read: {error.strerror or error}")
    if problems:
        raise ManifestError(problems)
    return objects


def read_manifest(stream: BinaryIO, source: str, remarks: list[str] | None = None) -> list[ManifestObject]:
    """Read manifests from a stream such as the standard input; not more than `MAX_BYTES`. Raises ManifestError."""
    objects: list[ManifestObject] = []
    problems: list[str] = []
    _collect(stream, source, objects, problems, remarks)
    if problems:
        raise ManifestError(problems)
    return objects


def parse_manifest(data: bytes | str, source: str, remarks: list[str] | None = None) -> list[ManifestObject]:
    """Parse the text of a manifest; JSON is YAML too. Raises ManifestError."""
    objects, problems = _parse(data, source, remarks)
    if problems:
        raise ManifestError(problems)
    return objects


def in_namespace(objects: Iterable[ManifestObject], namespace: str | None) -> list[ManifestObject]:
    """Return the objects with their namespace filled in: `namespace` (`-n`), or `default` where none is given.

    Raises ManifestError for objects that name another namespace than `namespace`, as kubectl does.
    """
    placed: list[ManifestObject] = []
    problems: list[str] = []
    for item in objects:
        kind = kind_of(item.object["apiVersion"], item.object["kind"])
        metadata = item.object["metadata"]
        own = metadata.get("namespace")
        if kind is None or not kind.namespaced:
            placed.append(item)
        elif namespace and own and own != namespace:
            problems.append(
                f'{item.place}: the namespace from the provided object "{own}" does not match the namespace '
                f"\"{namespace}\". You must pass '--namespace={own}' to perform this operation."
            )
        else:
            filled = {**item.object, "metadata": {**metadata, "namespace": own or namespace or "default"}}
            placed.append(ManifestObject(filled, item.source, item.line))
    if problems:
        raise ManifestError(problems)
    return placed


def _files(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())


def _collect(
    stream: BinaryIO, source: str, objects: list[ManifestObject], problems: list[str], remarks: list[str] | None
) -> None:
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        problems.append(f"{printable(source)}: larger than {MAX_BYTES // 2**20} MiB; split the file")
        return
    found, wrong = _parse(data, source, remarks)
    objects.extend(found)
    problems.extend(wrong)


def _parse(data: bytes | str, source: str, remarks: list[str] | None = None) -> tuple[list[ManifestObject], list[str]]:
    shown = printable(source)
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return [], [f"{shown}:{line}: not UTF-8 (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"]
    if len(text) > MAX_BYTES:
        return [], [f"{shown}: larger than {MAX_BYTES // 2**20} MiB; split the file"]
    documents, yaml_problems = compose(text)
    lines: list[tuple[int, str]] = [(problem.line, problem.message) for problem in yaml_problems]
    objects: list[ManifestObject] = []
    for node in documents:
        for item in _unpacked(node):
            obj = _object(item)
            if remarks is not None and isinstance(obj, dict):
                kind = str(obj.get("kind"))
                if is_foreign(str(obj.get("apiVersion")), kind):
                    remarks.append(f"{shown}:{item.line}: {printable(kind)} is ignored")
                    continue
            malformed, refused = (validate(obj), []) if remarks is None else examine(obj)
            lines.extend((line_of(item, problem.path), _worded(problem, item)) for problem in malformed)
            if remarks is not None:
                remarks.extend(
                    f"{shown}:{line_of(item, problem.path)}: {problem.message}{_TAKEN}" for problem in refused
                )
            objects.append(ManifestObject(obj, source, item.line))
    if not documents and not lines:
        return [], [f"{shown}: no objects in it; it is empty or has only comments"]
    return objects, [f"{shown}:{line}: {message}" for line, message in sorted(lines, key=lambda entry: entry[0])]


def _unpacked(node: Node) -> Iterator[Node]:
    """Yield the objects of a document: the items of lists, also of lists in lists, or the document itself."""
    pending = [node]
    while pending:
        item = pending.pop()
        if not isinstance(item, MappingNode) or not _is_list(item):
            yield item
        elif isinstance(items := item.entries.get("items"), SequenceNode):
            pending.extend(reversed(items.items))


def _is_list(node: MappingNode) -> bool:
    words = [node.entries.get(name) for name in ("apiVersion", "kind")]
    texts = [word.value if isinstance(word, ScalarNode) and isinstance(word.value, str) else "" for word in words]
    return is_list(texts[0], texts[1]) and (texts[1] == "List" or "items" in node.entries)


def _object(node: Node) -> Object:
    """Return the object of a node; objects that belong to no namespace lose one, as the API server does it."""
    obj: Object = to_value(node)
    metadata = obj.get("metadata") if isinstance(node, MappingNode) else None
    if isinstance(metadata, dict):
        kind = kind_of(str(obj.get("apiVersion")), str(obj.get("kind")))
        if kind is not None and not kind.namespaced:
            metadata.pop("namespace", None)
    return obj


def _worded(problem: Problem, root: Node) -> str:
    """Return the problem's line; text without quotes that reads as something else is asked to be quoted."""
    node = node_at(root, problem.path) if problem.expects_text else None
    if not isinstance(node, ScalarNode) or not node.plain or not node.text:
        return problem.message
    text = printable(node.text)
    what = "a boolean" if isinstance(node.value, bool) else "a number"
    return f'{format_path(problem.path)}: {text} reads as {what}, but must be a string; quote it: "{text}"'
