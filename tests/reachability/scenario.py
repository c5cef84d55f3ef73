"""Scenarios of tests/data/proxy: objects, a node, flows, and what becomes of each in every mode.

A file has `about`, `cluster` (as `--cluster` has it in JSON), `objects`, `flows` and `variants`. A flow is a line:
`NAME: SOURCE > DESTINATION:PORT[/PROTOCOL] = EXPECTED [| MODE: EXPECTED]...`, EXPECTED being a verdict or
`IP:PORT[, IP:PORT]... [masq]`. A variant has another cluster, and of the flows that come out otherwise in it the name
and what is expected; where it names none, all flows come out as before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from emulator.api.manifest import in_namespace, parse_manifest
from emulator.reachability.cluster import ClusterModel
from emulator.reachability.cluster_reader import parse_cluster
from emulator.reachability.flow import Flow
from emulator.reachability.flow_reader import VERDICTS, parse_flows
from emulator.reachability.objects import ClusterObjects, read_objects

FOLDER = Path(__file__).parents[1] / "data" / "proxy"
NODE = "test-node"
_FLOW = re.compile(
    r"(?P<name>[^:]+): (?:(?P<source>\S+) > (?P<dest>[^:\s]+):(?P<port>\d+)(?:/(?P<protocol>\w+))? )?= (?P<expected>.*)"
)


@dataclass(frozen=True)
class Scenario:
    """One cluster with its flows."""

    name: str
    about: str
    cluster: ClusterModel
    objects: ClusterObjects
    flows: tuple[Flow, ...]


def scenarios() -> Iterator[Scenario]:
    """Yield all of them, variants as scenarios of their own."""
    for path in sorted(FOLDER.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        items = parse_manifest(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": document["objects"]}), path.name
        )
        rows = {found["name"]: found for line in document["flows"] if (found := _read(line))}
        first = Scenario(
            path.stem,
            document["about"],
            parse_cluster(json.dumps(document["cluster"]), path.name),
            read_objects(in_namespace(items, None)),
            _flows(rows),
        )
        yield first
        for number, variant in enumerate(document.get("variants", ()), 1):
            others = {found["name"]: found for line in variant.get("flows", ()) if (found := _read(line))}
            unknown = others.keys() - rows.keys()
            assert not unknown, f"{path.name}: {unknown}"
            cluster = parse_cluster(json.dumps(variant.get("cluster", document["cluster"])), path.name)
            changed = {
                name: {**row, **({"expected": others[name]["expected"]} if name in others else {})}
                for name, row in rows.items()
            }
            yield replace(
                first, name=f"{path.stem}-{number}", about=variant["about"], cluster=cluster, flows=_flows(changed)
            )


def _read(line: str) -> dict[str, str]:
    found = _FLOW.fullmatch(line)
    assert found is not None, line
    return found.groupdict()


def _flows(rows: dict[str, dict[str, str]]) -> tuple[Flow, ...]:
    flows = [
        {
            "name": name,
            "sourceIP": row["source"],
            "destIP": row["dest"],
            "destPort": int(row["port"]),
            "protocol": row["protocol"],
            "expect": _expect(row["expected"]),
        }
        for name, row in rows.items()
    ]
    return tuple(parse_flows(json.dumps(flows), "scenario"))


def _expect(text: str) -> dict[str, Any]:
    common, *others = text.split(" | ")
    found = _expected(common)
    for other in others:
        mode, _, expected = other.partition(": ")
        found[mode] = _expected(expected)
    return found


def _expected(text: str) -> dict[str, Any]:
    if text in VERDICTS:
        return {"verdict": text, "endpoints": [], "masquerade": False}
    endpoints, _, masquerade = text.partition(" masq")
    assert not masquerade, text
    return {"verdict": "DNAT", "endpoints": endpoints.split(", "), "masquerade": text.endswith(" masq")}
