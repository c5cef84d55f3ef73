"""YAML text -> nodes, from the parser's events, without recursion and within limits on size, depth and aliases.

Only what JSON can say is taken: no tags, no keys but text, no duplicate keys, no aliases that hold themselves. Errors
of content are gathered, so that a file's problems are told together; an error of syntax ends the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import yaml
from msgspec import Struct, field
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from emulator.api.problem import printable, quoted
from emulator.api.yaml.node import MappingNode, Node, ScalarNode, SequenceNode
from emulator.api.yaml.scalar import BOOLEAN_WORDS, Scalar, Trap, octal, resolve

MAX_DEPTH = 100
"""Levels of nesting; the deepest Kubernetes objects have about 20."""

MAX_NODES = 2_000_000
"""Nodes in one file, each use of an alias counted whole."""

MAX_ALIASED_NODES = 100_000
"""Nodes that the aliases of a file may stand for altogether."""

MERGE_KEY = "<<"

# The parser in C is about ten times as fast; not every installation of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATES = re.compile(r"\\\\|(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")


class YamlProblem(Struct, frozen=True):
    """Something wrong with the text itself; lines count from 1."""

    line: int
    message: str


class _UnusableError(Exception):
    """The rest of the text cannot be read; the problem is noted already."""


class _Open(Struct):
    """A collection whose end has not come yet; in a mapping `key` is the key that waits for its value."""

    node: MappingNode | SequenceNode
    anchor: str | None
    key: str | None = None
    key_line: int = 0
    wants_key: bool = True
    merged: list[Node] = field(default_factory=list)


def compose(text: str) -> tuple[list[Node], list[YamlProblem]]:
    """Return the documents of a YAML text that are not empty, and everything that is wrong with the text."""
    composer = _Composer()
    try:
        for event in yaml.parse(_json_as_yaml(text), Loader=_LOADER):
            composer.feed(event)
    except _UnusableError:
        pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        composer.problem(mark.line + 1 if mark else 1, f"not valid YAML: {printable(what)}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        composer.problem(line, f"not valid YAML: {printable(str(error.reason))}")
    return composer.documents, composer.problems


def _json_as_yaml(text: str) -> str:
    """Return JSON without the two things that YAML parsers refuse: tabs, and characters escaped as two surrogates."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text  # not JSON, or not JSON that is of use: the parser says what is wrong
    # A tab inside a JSON string is always escaped, so all of these stand between tokens.
    return _SURROGATES.sub(_unescaped, text.replace("\t", " "))


def _unescaped(found: re.Match[str]) -> str:
    return str(json.loads(f'"{found[0]}"')) if found["pair"] else found[0]


class _Composer:
    """Builds nodes out of events; a stack of open collections in place of recursion."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self.problems: list[YamlProblem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}  # None while its node is still open
        self._nodes = 0
        self._aliased = 0

    def problem(self, line: int, message: str) -> None:
        """Note a problem; reading goes on."""
        self.problems.append(YamlProblem(line, message))

    def feed(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._close()
        elif isinstance(event, DocumentStartEvent | DocumentEndEvent):
            self._anchors.clear()

    def _stop(self, line: int, message: str) -> _UnusableError:
        self.problem(line, message)
        return _UnusableError()

    def _check_tag(self, event: NodeEvent, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = printable(tag).replace("tag:yaml.org,2002:", "!!")
            self.problem(line, f"the tag {shown} is not allowed; write the value without it, in quotes if it is text")

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        line = _line(event)
        self._check_tag(event, line)
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(line, f"nested deeper than {MAX_DEPTH} levels")
        self._refuse_as_key(line)
        node = MappingNode(line) if isinstance(event, MappingStartEvent) else SequenceNode(line)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(node, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        if isinstance(done.node, MappingNode):
            self._merge(done.node, done.merged)
        if done.anchor is not None:
            self._anchors[done.anchor] = done.node
        self._add(done.node)

    def _scalar(self, event: ScalarEvent) -> None:
        line = _line(event)
        self._check_tag(event, line)
        if not event.value.isascii() and _LONE_SURROGATE.search(event.value):
            raise self._stop(line, "half of a surrogate pair is no character")  # only the parser in Python lets it in
        plain = event.style is None or event.style == ""
        above = self._stack[-1] if self._stack else None
        if above is not None and isinstance(above.node, MappingNode) and above.wants_key:
            self._key(above, event, line, plain=plain)
            return
        value = self._value(event.value, line, above.key if above else None) if plain else event.value
        node = ScalarNode(line, value, event.value, plain)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node)

    def _value(self, text: str, line: int, key: str | None) -> Scalar:
        """Return the value of a plain scalar; `key` is the field that it belongs to, if it belongs to one."""
        if text in BOOLEAN_WORDS:
            return BOOLEAN_WORDS[text]
        value = resolve(text)
        if not isinstance(value, Trap):
            return value
        mode = octal(text)
        if mode is not None and key is not None and key.lower().endswith("mode"):
            return mode  # file modes are written so everywhere
        where = f"{printable(key)}: " if key else ""
        self.problem(line, f'{where}{printable(text)} {value.reason}; quote it: "{printable(text)}"')
        return text

    def _key(self, above: _Open, event: ScalarEvent, line: int, *, plain: bool) -> None:
        text = event.value
        if plain and text != MERGE_KEY:
            value = BOOLEAN_WORDS.get(text, resolve(text))
            # kubectl turns whole numbers into text, and real ConfigMaps have ports as keys.
            if not isinstance(value, str) and (isinstance(value, bool) or str(value) != text):
                shown = printable(text)
                self.problem(line, f'the key {shown} is not text in YAML 1.1; quote it: "{shown}"')
        if event.anchor is not None:
            self._anchors[event.anchor] = ScalarNode(line, text, text, plain)
        above.key, above.key_line, above.wants_key = text, line, False
        if isinstance(above.node, MappingNode) and not (plain and text == MERGE_KEY):
            if text in above.node.lines:
                first = above.node.lines[text]
                self.problem(line, f"duplicate key {quoted(text)}; it is on line {first} already")
            else:
                above.node.lines[text] = line
        else:
            above.key = None  # a merge

    def _alias(self, event: AliasEvent) -> None:
        line = _line(event)
        name = event.anchor or ""
        if name not in self._anchors:
            raise self._stop(line, f"unknown alias *{printable(name)}")
        node = self._anchors[name]
        if node is None:
            raise self._stop(line, f"the alias *{printable(name)} stands inside what it names")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            raise self._stop(line, f"aliases stand for more than {MAX_ALIASED_NODES} nodes; write them out")
        self._refuse_as_key(line)
        if len(self._stack) + _depth(node) > MAX_DEPTH:
            raise self._stop(line, f"nested deeper than {MAX_DEPTH} levels")
        self._add(node, line)

    def _refuse_as_key(self, line: int) -> None:
        above = self._stack[-1] if self._stack else None
        if above is not None and isinstance(above.node, MappingNode) and above.wants_key:
            raise self._stop(line, "a key must be text, not a list, a mapping or an alias")

    def _add(self, node: Node, line: int | None = None) -> None:
        """Put a finished node where it belongs."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._stop(line or node.line, f"more than {MAX_NODES} nodes; split the file")
        if not self._stack:
            if not (isinstance(node, ScalarNode) and node.value is None):
                self.documents.append(node)
            return
        above = self._stack[-1]
        above.node.size += node.size
        if isinstance(above.node, SequenceNode):
            above.node.items.append(node)
        else:
            if above.key is None:
                above.merged.append(node)
            else:
                above.node.entries.setdefault(above.key, node)
            above.wants_key = True

    def _merge(self, node: MappingNode, merged: list[Node]) -> None:
        """Take over entries from the mappings under `<<`; own entries and earlier mappings win."""
        for source in merged:
            parts = source.items if isinstance(source, SequenceNode) else [source]
            for part in parts:
                if not isinstance(part, MappingNode):
                    self.problem(part.line, "<< must name a mapping or a list of mappings")
                    continue
                for key, value in part.entries.items():
                    if key not in node.entries:
                        node.entries[key] = value
                        node.lines[key] = part.lines[key]


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _depth(node: Node) -> int:
    """Return how many levels of collections a node has."""
    depth = 0
    level: list[Node] = [node]
    while level := [item for item in level if not isinstance(item, ScalarNode)]:
        depth += 1
        level = list(_below(level))
    return depth


def _below(level: Sequence[Node]) -> Iterator[Node]:
    for node in level:
        if isinstance(node, MappingNode):
            yield from node.entries.values()
        elif isinstance(node, SequenceNode):
            yield from node.items
