"""A traffic file (TOML) -> a frozen Scenario: what `emulator traffic run FILE.toml` runs.

Everything that is wrong is told at once, each with its line; docs/traffic.md has the keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from emulator.api.kinds import find_kind
from emulator.api.messages.load import MOST_RATE, MOST_UNDER_WAY, LoadPace, LoadTarget
from emulator.api.problem import Path as FieldPath
from emulator.api.problem import listed, printable, quoted
from emulator.api.toml.file import parse_toml, read_toml_text
from emulator.api.toml.reader import TomlReader
from emulator.api.traffic.assertion import EACH, Assertion, AssertionSyntaxError, parse_assertion
from emulator.api.traffic.traffic import DEFAULT_DURATION, DEFAULT_NAMESPACE, LoadSpec, Phase, Scenario, Verb
from emulator.api.traffic.url import UrlError, parse_target_url
from emulator.errors import ManifestError

KEYS = (
    "name",
    "description",
    "namespace",
    "seed",
    "manifests",
    "duration",
    "loads",
    "phases",
    "assertions",
)
LOAD_KEYS = (
    "name",
    "from",
    "to",
    "rate",
    "arrivals",
    "concurrency",
    "requests",
    "start",
    "duration",
    "timeout",
    "pause",
    "connections",
    "lookup",
    "in_flight",
)
TARGET_KEYS = ("url", "method", "headers", "send", "size", "expect")
ASSERTION_KEYS = ("that", "load", "each")
_VERBS = {verb.value: verb for verb in Verb}
_MOST_BYTES = {"tcp": 10**10, "http": 10**6, "https": 10**6, "udp": 65_507, "ping": 65_507, "dns": 0}
CHUNK = 65_536
"""Bytes that are sent at a time of a `size`."""

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|kB|MB|GB|KiB|MiB|GiB)")
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_FOREVER = 7 * 86_400.0


def read_traffic_file(path: str | Path) -> Scenario:
    """Read a traffic file. Raises ManifestError with everything that is wrong with it."""
    return parse_traffic_file(read_toml_text(path, "traffic file"), str(path), Path(path).parent)


def parse_traffic_file(text: str, source: str, directory: Path) -> Scenario:
    """Parse the text of a traffic file; paths in it are relative to `directory`. Raises ManifestError."""
    document, lines = parse_toml(text, source)
    reader = _Reader(lines, source, directory)
    scenario = reader.scenario(document)
    if reader.problems:
        raise ManifestError(reader.sorted_problems())
    return scenario


class _Reader(TomlReader):
    """Reads a traffic file."""

    def __init__(self, lines: Mapping[FieldPath, int], source: str, directory: Path) -> None:
        super().__init__(lines, source)
        self._directory = directory

    def scenario(self, document: dict[str, Any]) -> Scenario:
        """Return the scenario of a whole document."""
        self.check_keys((), document, KEYS)
        duration = self._duration(("duration",), document, DEFAULT_DURATION)
        loads = tuple(self._loads(document.get("loads", []), duration))
        if not loads and not self.problems:
            self.problem(("loads",), "Required value: no traffic: write [[loads]]")
        return Scenario(
            name=self.text(("name",), document.get("name", Path(self._source).stem)),
            description=self.text(("description",), document.get("description", "")),
            namespace=self.name(("namespace",), document.get("namespace"), DEFAULT_NAMESPACE),
            seed=self._whole(("seed",), document, 0, least=0),
            manifests=tuple(self._files(("manifests",), document.get("manifests", []))),
            loads=loads,
            phases=tuple(self._phases(document.get("phases", []))),
            assertions=tuple(self._assertions(document.get("assertions", []), {load.name for load in loads})),
            source=self._source,
        )

    # Loads

    def _loads(self, value: Any, duration: float) -> Iterator[LoadSpec]:
        names: set[str] = set()
        for path, table in self._tables("loads", value):
            self.check_keys(path, table, LOAD_KEYS)
            load = self._load(path, table, duration)
            if load.name in names:
                self.problem((*path, "name"), f"Duplicate value: {quoted(load.name)}")
            names.add(load.name)
            yield load

    def _load(self, path: FieldPath, table: dict[str, Any], duration: float) -> LoadSpec:
        rate = self._number((*path, "rate"), table, 0.0)
        if "rate" in table and rate <= 0:
            self.problem((*path, "rate"), f"Invalid value: {quoted(table['rate'])}: must be more than 0")
        elif rate > MOST_RATE:
            self.problem((*path, "rate"), f"Invalid value: {quoted(table['rate'])}: must be at most {MOST_RATE:,.0f}")
        if "rate" in table and "concurrency" in table:
            self.problem(
                (*path, "concurrency"),
                "Forbidden: a load is either an open loop (rate) or a closed one (concurrency); of an open one"
                " in_flight limits what is unanswered",
            )
        targets = tuple(self._targets((*path, "to"), table))
        pace = LoadPace(
            duration=self._duration((*path, "duration"), table, duration),
            poisson=self._choice((*path, "arrivals"), table, ("constant", "poisson")) == "poisson",
            timeout=self._duration((*path, "timeout"), table, 5.0),
            pause=self._duration((*path, "pause"), table, 0.0, least=0.0),
            in_flight=self._whole((*path, "in_flight"), table, 512, most=MOST_UNDER_WAY),
            keep=self._choice((*path, "connections"), table, ("new", "keep")) == "keep",
            lookup_each=self._choice((*path, "lookup"), table, ("once", "each")) == "each",
        )
        for key in {"arrivals", "in_flight"} & table.keys() if "rate" not in table else {"pause"} & table.keys():
            of = "a closed loop (without rate)" if "rate" in table else "an open loop (rate)"
            self.problem((*path, key), f"Forbidden: it is of {of}")
        if pace.keep and any(target.protocol not in ("http", "https", "udp") for target in targets):
            self.problem((*path, "connections"), 'Forbidden: "keep" is for http, https and udp')
        return LoadSpec(
            name=self.text((*path, "name"), table.get("name", f"load-{int(path[1]) + 1}")),
            clients=tuple(self._words((*path, "from"), table, 'who asks, such as "pod/client"')),
            targets=targets,
            pace=pace,
            rate=rate,
            concurrency=self._whole((*path, "concurrency"), table, 1, most=MOST_UNDER_WAY),
            requests=self._whole((*path, "requests"), table, 0, least=1),
            start=self._duration((*path, "start"), table, 0.0, least=0.0),
        )

    def _targets(self, path: FieldPath, table: dict[str, Any]) -> Iterator[LoadTarget]:
        value = table.get("to")
        entries = value if isinstance(value, list) else [value]
        if value is None or not entries:
            self.problem(path, 'Required value: what is asked, such as "http://web/"')
            return
        for index, entry in enumerate(entries):
            place = (*path, index) if isinstance(value, list) else path
            fields = {"url": entry} if isinstance(entry, str) else self.table(place, entry)
            self.check_keys(place, fields, TARGET_KEYS)
            url = fields.get("url")
            if not isinstance(url, str):
                self.problem((*place, "url"), 'Required value: such as "http://web/"')
                continue
            try:
                yield self._detailed(place, parse_target_url(url), fields)
            except UrlError as error:
                self.problem(place, f"Invalid value: {error}")

    def _detailed(self, path: FieldPath, target: LoadTarget, fields: dict[str, Any]) -> LoadTarget:
        """Add to a target what its table says beyond the URL."""
        is_http = target.protocol.startswith("http")
        for key in {"method", "headers"} & fields.keys() if not is_http else ():
            self.problem((*path, key), "Forbidden: it is for http and https")
        for key in {"send", "size", "expect"} & fields.keys() if target.protocol == "dns" else ():
            self.problem((*path, key), "Forbidden: a dns target has its question in its URL")
        if "send" in fields and "size" in fields:
            self.problem((*path, "size"), "Forbidden: either what is sent (send), or how much (size)")
        payload, size = self.text((*path, "send"), fields.get("send", "")).encode(), 0
        if "size" in fields:
            size = self._size((*path, "size"), fields["size"])
            most = _MOST_BYTES[target.protocol]
            if size > most:
                self.problem((*path, "size"), f"Invalid value: {quoted(fields['size'])}: must be at most {most} bytes")
                size = 0
            payload = bytes(min(size, CHUNK) if target.protocol == "tcp" else size)
        if target.protocol == "udp" and not payload:
            self.problem((*path, "send"), "Required value: a datagram that asks for an answer needs some bytes")
        headers = self.table((*path, "headers"), fields.get("headers", {}))
        return replace(
            target,
            method=self.text((*path, "method"), fields.get("method", "POST" if payload and is_http else "GET")),
            headers=tuple((key, self.text((*path, "headers", key), value)) for key, value in headers.items()),
            payload=payload,
            size=size if target.protocol == "tcp" else 0,
            expect=self.text((*path, "expect"), fields.get("expect", "")).encode(),
        )

    # Phases and assertions

    def _phases(self, value: Any) -> Iterator[Phase]:
        for path, table in self._tables("phases", value):
            self.check_keys(path, table, ("at", *_VERBS, "replicas"))
            verbs = [name for name in _VERBS if name in table]
            if len(verbs) != 1:
                self.problem(path, f"Required value: one of {', '.join(_VERBS)}")
                continue
            if "at" not in table:
                self.problem((*path, "at"), 'Required value: when, such as "5s"')
            if ("replicas" in table) != (verbs[0] == "scale"):
                wrong = "Required value: how many pods" if verbs[0] == "scale" else "Forbidden: it goes with scale"
                self.problem((*path, "replicas"), wrong)
            verb, place = _VERBS[verbs[0]], (*path, verbs[0])
            phase = Phase(
                at=self._duration((*path, "at"), table, 0.0, least=0.0),
                verb=verb,
                replicas=self._whole((*path, "replicas"), table, 0, least=0),
            )
            if verb is Verb.APPLY:
                files = tuple(self._files(place, [table[verb.value]]))
                yield replace(phase, file=files[0] if files else None)
            else:
                yield replace(phase, what=self._object(place, table[verb.value]))

    def _object(self, path: FieldPath, value: Any) -> str:
        """Read `KIND/NAME`."""
        text = self.text(path, value)
        kind, slash, name = text.partition("/")
        if text and (not slash or not name or find_kind(kind) is None):
            self.problem(path, f'Invalid value: {quoted(value)}: must be KIND/NAME, such as "deployment/web"')
        return text

    def _assertions(self, value: Any, loads: set[str]) -> Iterator[Assertion]:
        for path, table in self._tables("assertions", value):
            self.check_keys(path, table, ASSERTION_KEYS)
            load = self.text((*path, "load"), table.get("load", ""))
            if load and load not in loads:
                self.problem((*path, "load"), f"Not found: {quoted(load)}: the loads are {listed(sorted(loads))}")
            each = self._choice((*path, "each"), table, ("", *EACH))
            for index, text in enumerate(self._words((*path, "that"), table, '["errors == 0"]')):
                try:
                    yield parse_assertion(text, load=load, each=each)
                except AssertionSyntaxError as error:
                    self.problem((*path, "that", index), f"Invalid value: {error}")

    # Values

    def _tables(self, key: str, value: Any) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
        if not isinstance(value, list):
            self.problem((key,), f"must be a list of tables: write [[{key}]]")
            return
        for index, entry in enumerate(value):
            yield (key, index), self.table((key, index), entry)

    def _words(self, path: tuple[str | int, ...], table: Mapping[str, Any], wanted: str) -> Iterator[str]:
        """Read one string or a list of them."""
        value = table.get(str(path[-1]))
        entries = [value] if isinstance(value, str) else value
        if (
            not isinstance(entries, list)
            or not entries
            or not all(isinstance(entry, str) and entry for entry in entries)
        ):
            self.problem(
                path, f"Required value: {wanted}" if not value else f"Invalid value: {quoted(value)}: {wanted}"
            )
            return
        yield from entries

    def _files(self, path: FieldPath, value: Any) -> Iterator[Path]:
        if not isinstance(value, list):
            self.mistyped(path, value, 'a list of files, such as ["shop.yaml"]')
            return
        for index, entry in enumerate(value):
            if not isinstance(entry, str) or not entry:
                self.mistyped((*path, index), entry, "the name of a file")
            elif "\0" in entry or not (self._directory / entry).exists():
                where = printable(str(self._directory))
                self.problem((*path, index), f"Invalid value: {quoted(entry)}: no such file in {where}")
            else:
                yield self._directory / entry

    def _choice(self, path: tuple[str | int, ...], table: Mapping[str, Any], known: tuple[str, ...]) -> str:
        value = table.get(str(path[-1]), known[0])
        if isinstance(value, str) and value in known:
            return value
        supported = listed(word for word in known if word)
        self.problem(path, f"Unsupported value: {quoted(value)}: supported values: {supported}")
        return known[0]

    def _whole(
        self, path: tuple[str | int, ...], table: Mapping[str, Any], default: int, *, least: int = 1, most: int = 2**31
    ) -> int:
        value = table.get(str(path[-1]), None)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.mistyped(path, value, f"an integer of at least {least}")
        elif value > most:
            self.problem(path, f"Invalid value: {value}: must be at most {most:,}")
        else:
            return value
        return default

    def _number(self, path: tuple[str | int, ...], table: Mapping[str, Any], default: float) -> float:
        value = table.get(str(path[-1]), default)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        self.mistyped(path, value, "a number")
        return default

    def _duration(
        self, path: tuple[str | int, ...], table: Mapping[str, Any], default: float, *, least: float = 1e-3
    ) -> float:
        """Read seconds, or a time with its unit."""
        value = table.get(str(path[-1]), default)
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is not None:
            value = float(found[1]) * _SECONDS[found[2]]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= _FOREVER:
            return float(value)
        self.mistyped(path, table.get(str(path[-1])), f'a time, such as "10s" or "500ms", of at least {least:g} s')
        return default

    def _size(self, path: FieldPath, value: Any) -> int:
        found = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if found is not None:
            return int(float(found[1]) * _BYTES[found[2]])
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.mistyped(path, value, 'a number of bytes, such as 1000 or "10MB"')
        return 0
