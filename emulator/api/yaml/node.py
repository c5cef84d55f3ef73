"""YAML nodes that know their lines, so that each problem of an object can be told with the place it came from."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct, field

from emulator.api.problem import Path
from emulator.api.yaml.scalar import Scalar


class ScalarNode(Struct, eq=False):
    """A leaf. `text` is what the file says, `plain` whether it says so without quotes."""

    line: int
    value: Scalar
    text: str
    plain: bool
    size: int = 1


class SequenceNode(Struct, eq=False):
    """A list. `size` counts all nodes below, with aliases counted as often as they are used."""

    line: int
    items: list[Node] = field(default_factory=list)
    size: int = 1


class MappingNode(Struct, eq=False):
    """A mapping from text to nodes; `lines` has the line of each key."""

    line: int
    entries: dict[str, Node] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    size: int = 1


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def child(node: Node, part: str | int) -> Node | None:
    """Return the node under a key or an index; None if there is none."""
    if isinstance(node, MappingNode) and isinstance(part, str):
        return node.entries.get(part)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
        return node.items[part]
    return None


def line_of(node: Node, path: Path) -> int:
    """Return the line of the field at `path`, or of the nearest field above that exists."""
    line = node.line
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str):
            line = node.lines.get(part, line)
        below = child(node, part)
        if below is None:
            break
        if isinstance(node, SequenceNode):
            line = below.line
        node = below
    return line


def node_at(node: Node, path: Path) -> Node | None:
    """Return the node at `path`; None if there is none."""
    here: Node | None = node
    for part in path:
        here = child(here, part) if here is not None else None
    return here


def to_value(node: Node) -> Any:
    """Return a node as JSON-like values. Fields that are null are left out, as the API server reads them.

    Every use of an alias gets a copy of its own. Works level by level, since nesting is the writer's choice.
    """
    if isinstance(node, ScalarNode):
        return node.value
    root: Any = {} if isinstance(node, MappingNode) else []
    pending: list[tuple[Node, Any]] = [(node, root)]
    while pending:
        source, target = pending.pop()
        if isinstance(source, MappingNode):
            for key, below in source.entries.items():
                if isinstance(below, ScalarNode):
                    if below.value is not None:
                        target[key] = below.value
                else:
                    copied: Any = {} if isinstance(below, MappingNode) else []
                    target[key] = copied
                    pending.append((below, copied))
        elif isinstance(source, SequenceNode):
            for below in source.items:
                if isinstance(below, ScalarNode):
                    target.append(below.value)
                else:
                    inner: Any = {} if isinstance(below, MappingNode) else []
                    target.append(inner)
                    pending.append((below, inner))
    return root
