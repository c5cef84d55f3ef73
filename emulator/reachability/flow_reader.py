"""FLOWS.json: a list of flows, or an object with the list under `flows`; all that is wrong is told at once.

A flow is `{"name", "sourceIP", "destIP", "destPort", "protocol", "sourcePort", "expect"}`; name, protocol (TCP),
sourcePort and expect may be left out. `expect` holds any of `verdict`, `endpoints` and `masquerade`; under the name of
a mode it holds them for that mode alone.
"""

from __future__ import annotations

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
from emulator.reachability.document import Reader, parse_json, read_bounded
from emulator.reachability.flow import FIRST_PORT, PROTOCOLS, Expectation, Flow
from emulator.reachability.probe import ACCEPT, DNAT, DROP, REJECT

STANDARD_INPUT = "-"
_ADVICE = "split the file"
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
            data = read_bounded(sys.stdin.buffer, source, _ADVICE)
        else:
            with Path(path).open("rb") as stream:
                data = read_bounded(stream, source, _ADVICE)
    except OSError as error:
        raise ManifestError([f"{printable(path)}: cannot be read: {error.strerror or error}"]) from None
    return parse_flows(data, source)


def parse_flows(data: bytes | str, source: str) -> list[Flow]:
    """Read the text of such a file. Raises ManifestError."""
    document, shown = parse_json(data, source), printable(source)
    path = "$"
    if isinstance(document, Mapping) and "flows" in document:
        document, path = document["flows"], "$.flows"
    if not isinstance(document, list) or not document:
        raise ManifestError([f"{shown}: {path}: a list of flows is wanted, with at least one in it"])
    problems = Problems()
    flows = [
        _Reader(problems, f"{shown}: {path}[{number}]", _ALIASES).flow(entry) for number, entry in enumerate(document)
    ]
    if problems.found:
        raise ManifestError(problems.found)
    return flows


class _Reader(Reader):
    """Reads one flow; what is wrong is noted with its place."""

    def flow(self, entry: Any) -> Flow:
        values = self.known(entry, "", _KEYS)
        protocol = values.get("protocol") or "TCP"
        if not isinstance(protocol, str) or protocol.upper() not in PROTOCOLS:
            self.wrong(".protocol", f"{quoted(protocol)} is not one of {', '.join(PROTOCOLS)}")
            protocol = "TCP"
        source, destination = self._address(values, "sourceIP"), self._address(values, "destIP")
        port = self._port(values, "destPort", None)
        flow = Flow(
            "", source, destination, port, protocol.upper(), self._port(values, "sourcePort", FIRST_PORT),
            self._expectations(values.get("expect")),
        )  # fmt: skip
        name = values.get("name", "")
        if not isinstance(name, str):
            self.wrong(".name", f"a string is wanted, not {quoted(name)}")
        return Flow(str(name) or str(flow), source, destination, port, flow.protocol, flow.source_port, flow.expect)

    def _address(self, values: dict[str, Any], name: str) -> int:
        value = values.get(name)
        if value is None:
            self.wrong(f".{name}", "missing")
            return 0
        try:
            return int(IPv4Address(value if isinstance(value, str) else ""))
        except ValueError:
            self.wrong(f".{name}", f"{quoted(value)} is no IPv4 address")
            return 0

    def _port(self, values: dict[str, Any], name: str, default: int | None) -> int:
        value = values.get(name, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
            value = int(value)
        if value is None:
            self.wrong(f".{name}", "missing")
        elif not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65_536:
            self.wrong(f".{name}", f"{quoted(value)} is no port; these are 1 to 65535")
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
        values = self.known(value, ".expect", known)
        found = {"": self._expectation({name: values[name] for name in values if name in _EXPECT_KEYS}, ".expect")}
        for mode in PROXY_MODES:
            if mode in values:
                found[mode] = self._of_mode(values[mode], found[""], f".expect.{mode}")
        return found

    def _of_mode(self, value: Any, common: Expectation, path: str) -> Expectation:
        """Read what is expected in one mode; an object leaves what it does not say as it is for all modes."""
        if isinstance(value, str | list):
            return self._short(value, path)
        own = self._expectation(self.known(value, path, _EXPECT_KEYS), path)
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
            self.wrong(f"{path}.verdict", f"{quoted(verdict)} is not one of {', '.join(VERDICTS)}")
            verdict = None
        masquerade = values.get("masquerade")
        if masquerade is not None and not isinstance(masquerade, bool):
            self.wrong(f"{path}.masquerade", f"true or false is wanted, not {quoted(masquerade)}")
            masquerade = None
        endpoints = self._endpoints(values["endpoints"], f"{path}.endpoints") if "endpoints" in values else None
        return Expectation(None if verdict is None else verdict.upper(), endpoints, masquerade)

    def _endpoints(self, value: Any, path: str) -> frozenset[str]:
        words = [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
        if not isinstance(words, list):
            self.wrong(path, f'a list of "ip:port" is wanted, not {quoted(value)}')
            return frozenset()
        for number, word in enumerate(words):
            address, colon, port = word.partition(":") if isinstance(word, str) else ("", "", "")
            try:
                right = bool(IPv4Address(address)) and colon and 0 < int(port) < 65_536
            except ValueError:
                right = False
            if not right:
                self.wrong(f"{path}[{number}]", f'{quoted(word)} is no endpoint such as "10.0.0.1:80"')
                return frozenset()
        return frozenset(words)
