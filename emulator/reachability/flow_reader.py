"""FLOWS.json: a list of flows, or an object with the list under `flows`; all that is wrong is told at once.

A flow is `{"name", "sourceIP", "destIP", "destPort", "protocol", "sourcePort", "expect"}`; name, protocol (TCP),
sourcePort and expect may be left out. `expect` holds any of `verdict`, `endpoints` and `masquerade`; under the name of
a mode it holds them for that mode alone.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emulator.api.cluster_file import PROXY_MODES
from emulator.api.problem import printable, quoted
from emulator.bundle.problem import Problems
from emulator.errors import ManifestError
from emulator.reachability.flow import FIRST_PORT, PROTOCOLS, Expectation, Flow
from emulator.reachability.probe import ACCEPT, DNAT, DROP, REJECT

MOST_BYTES = 16 * 1024 * 1024
STANDARD_INPUT = "-"
VERDICTS = (DNAT, REJECT, DROP, ACCEPT)
_KEYS = ("name", "sourceIP", "destIP", "destPort", "protocol", "sourcePort", "expect")
_EXPECT_KEYS = ("verdict", "endpoints", "masquerade")
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "source": "sourceIP", "src": "sourceIP", "destinationip": "destIP", "destination": "destIP", "dst": "destIP",
        "dest": "destIP", "destinationport": "destPort", "dstport": "destPort", "port": "destPort",
        "srcport": "sourcePort", "masq": "masquerade", "masqueraded": "masquerade", "endpoint": "endpoints",
    }
)  # fmt: skip


def read_flows(path: str) -> list[Flow]:
    """Read a file, or the standard input for `-`. Raises ManifestError with all that is wrong."""
    source = "standard input" if path == STANDARD_INPUT else path
    try:
        if path == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as stream:
                data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ManifestError([f"{printable(path)}: cannot be read: {error.strerror or error}"]) from None
    if len(data) > MOST_BYTES:
        raise ManifestError([f"{printable(source)}: larger than {MOST_BYTES >> 20} MiB; split the file"])
    return parse_flows(data, source)


def parse_flows(data: bytes | str, source: str) -> list[Flow]:
    """Read the text of such a file. Raises ManifestError."""
    shown = printable(source)
    try:
        document = json.loads(data if isinstance(data, str) else data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ManifestError([f"{shown}:{error.lineno}: not valid JSON: {error.msg}"]) from None
    except (UnicodeDecodeError, RecursionError):
        raise ManifestError([f"{shown}: not valid JSON"]) from None
    path = "$"
    if isinstance(document, Mapping) and "flows" in document:
        document, path = document["flows"], "$.flows"
    if not isinstance(document, list) or not document:
        raise ManifestError([f"{shown}: {path}: a list of flows is wanted, with at least one in it"])
    problems = Problems()
    flows = [_Reader(problems, f"{shown}: {path}[{number}]").flow(entry) for number, entry in enumerate(document)]
    if problems.found:
        raise ManifestError(problems.found)
    return flows


class _Reader:
    """Reads one flow; what is wrong is noted with its place."""

    def __init__(self, problems: Problems, place: str) -> None:
        self._problems = problems
        self._place = place

    def _wrong(self, path: str, message: str) -> None:
        self._problems.add(f"{self._place}{path}", message)

    def flow(self, entry: Any) -> Flow:
        values = self._known(entry, "", _KEYS)
        protocol = values.get("protocol") or "TCP"
        if not isinstance(protocol, str) or protocol.upper() not in PROTOCOLS:
            self._wrong(".protocol", f"{quoted(protocol)} is not one of {', '.join(PROTOCOLS)}")
            protocol = "TCP"
        source, destination = self._address(values, "sourceIP"), self._address(values, "destIP")
        port = self._port(values, "destPort", None)
        flow = Flow(
            "", source, destination, port, protocol.upper(), self._port(values, "sourcePort", FIRST_PORT),
            self._expectations(values.get("expect")),
        )  # fmt: skip
        name = values.get("name", "")
        if not isinstance(name, str):
            self._wrong(".name", f"a string is wanted, not {quoted(name)}")
        return Flow(str(name) or str(flow), source, destination, port, flow.protocol, flow.source_port, flow.expect)

    def _known(self, value: Any, path: str, known: tuple[str, ...]) -> dict[str, Any]:
        """Return an object's values by the names that keys have here; letters' case and underscores do not matter."""
        if not isinstance(value, Mapping):
            self._wrong(path, f"an object is wanted, not {quoted(value)}")
            return {}
        by_letters = {name.lower(): name for name in known}
        by_letters |= {alias: name for alias, name in _ALIASES.items() if name in known}
        found: dict[str, Any] = {}
        for key, entry in value.items():
            name = by_letters.get(key.lower().replace("_", ""))
            if name is None:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f'did you mean "{close[0]}"?' if close else f"known are {', '.join(known)}"
                self._wrong(f"{path}.{printable(key)}", f"unknown key; {hint}")
            elif name in found:
                self._wrong(f"{path}.{printable(key)}", f"{name} is said twice")
            elif entry is not None:
                found[name] = entry
        return found

    def _address(self, values: dict[str, Any], name: str) -> int:
        value = values.get(name)
        if value is None:
            self._wrong(f".{name}", "missing")
            return 0
        try:
            return int(IPv4Address(value if isinstance(value, str) else ""))
        except ValueError:
            self._wrong(f".{name}", f"{quoted(value)} is no IPv4 address")
            return 0

    def _port(self, values: dict[str, Any], name: str, default: int | None) -> int:
        value = values.get(name, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
            value = int(value)
        if value is None:
            self._wrong(f".{name}", "missing")
        elif not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65_536:
            self._wrong(f".{name}", f"{quoted(value)} is no port; these are 1 to 65535")
        else:
            return value
        return 1

    # Expectations

    def _expectations(self, value: Any) -> Mapping[str, Expectation]:
        """Return what is expected by mode; "" holds in modes that are not named."""
        if value is None:
            return {}
        if isinstance(value, str | list):
            return {"": self._short(value, ".expect")}
        known = (*_EXPECT_KEYS, *PROXY_MODES)
        values = self._known(value, ".expect", known)
        found = {"": self._expectation({name: values[name] for name in values if name in _EXPECT_KEYS}, ".expect")}
        for mode in PROXY_MODES:
            if mode in values:
                found[mode] = self._of_mode(values[mode], found[""], f".expect.{mode}")
        return found

    def _of_mode(self, value: Any, common: Expectation, path: str) -> Expectation:
        """Read what is expected in one mode; an object leaves what it does not say as it is for all modes."""
        if isinstance(value, str | list):
            return self._short(value, path)
        own = self._expectation(self._known(value, path, _EXPECT_KEYS), path)
        return Expectation(
            common.verdict if own.verdict is None else own.verdict,
            common.endpoints if own.endpoints is None else own.endpoints,
            common.masquerade if own.masquerade is None else own.masquerade,
        )

    def _short(self, value: str | list[Any], path: str) -> Expectation:
        """Read a verdict ("REJECT"), or endpoints ("10.0.0.1:80, 10.0.0.2:80") that a DNAT may lead to."""
        if isinstance(value, str) and value.strip().upper() in VERDICTS:
            return Expectation(value.strip().upper())
        return Expectation(DNAT, self._endpoints(value, path))

    def _expectation(self, values: dict[str, Any], path: str) -> Expectation:
        verdict = values.get("verdict")
        if verdict is not None and (not isinstance(verdict, str) or verdict.upper() not in VERDICTS):
            self._wrong(f"{path}.verdict", f"{quoted(verdict)} is not one of {', '.join(VERDICTS)}")
            verdict = None
        masquerade = values.get("masquerade")
        if masquerade is not None and not isinstance(masquerade, bool):
            self._wrong(f"{path}.masquerade", f"true or false is wanted, not {quoted(masquerade)}")
            masquerade = None
        endpoints = self._endpoints(values["endpoints"], f"{path}.endpoints") if "endpoints" in values else None
        return Expectation(None if verdict is None else verdict.upper(), endpoints, masquerade)

    def _endpoints(self, value: Any, path: str) -> frozenset[str]:
        words = [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
        if not isinstance(words, list):
            self._wrong(path, f'a list of "ip:port" is wanted, not {quoted(value)}')
            return frozenset()
        for number, word in enumerate(words):
            address, colon, port = word.partition(":") if isinstance(word, str) else ("", "", "")
            try:
                right = bool(IPv4Address(address)) and colon and 0 < int(port) < 65_536
            except ValueError:
                right = False
            if not right:
                self._wrong(f"{path}[{number}]", f'{quoted(word)} is no endpoint such as "10.0.0.1:80"')
                return frozenset()
        return frozenset(words)
