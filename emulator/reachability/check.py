"""Flows under one or several modes of kube-proxy: what becomes of each, and whether that is what was expected."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from emulator.bundle.save import write_files
from emulator.errors import PodwireError
from emulator.packet.address import format_ipv4
from emulator.reachability.cluster import ClusterModel
from emulator.reachability.flow import Expectation, Flow
from emulator.reachability.objects import ClusterObjects
from emulator.reachability.probe import ACCEPT, DNAT, DROP, REJECT, Outcome, Probe
from emulator.reachability.render import bundle_files, render

_WEIGHT = (DNAT, ACCEPT, REJECT, DROP)
"""Of several verdicts on one flow the first of these is the one, the others are `other_verdicts`."""


class FlowResult(Struct, frozen=True):
    """What becomes of a flow in one mode.

    `endpoints`: all that may be chosen, in the lexical order of "ip:port". `masquerade`: whether those that are not the
    client itself see another source address than the client's; where the client is the only one, whether it does.
    `masqueraded`: the endpoints that do. `reason`: why packets are dropped, where no rule says so. `failures`: where
    it is not what was expected, a line each.
    """

    flow: Flow
    mode: str
    verdict: str
    endpoints: tuple[str, ...] = ()
    masquerade: bool = False
    masqueraded: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    reason: str = ""
    other_verdicts: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def verdicts(self) -> str:
        """All that may become of the flow, in words; kube-proxy's own rules never leave a verdict to chance."""
        return " or ".join((self.verdict, *self.other_verdicts))

    @property
    def answer(self) -> tuple[str, tuple[str, ...], bool]:
        """What modes are compared by."""
        return self.verdicts, self.endpoints, self.masquerade

    def to_json(self) -> dict[str, Any]:
        """Return the row of `-o json`; keys beyond the contract are there only when they say something."""
        row: dict[str, Any] = {
            "name": self.flow.name,
            "mode": self.mode,
            "verdict": self.verdict,
            "endpoints": list(self.endpoints),
            "masquerade": self.masquerade,
            "rules": list(self.rules),
        }
        if self.masqueraded not in ((), self.endpoints):
            row["masqueraded"] = list(self.masqueraded)
        if self.reason:
            row["reason"] = self.reason
        if self.other_verdicts:
            row["otherVerdicts"] = list(self.other_verdicts)
        if self.failures:
            row["failures"] = list(self.failures)
        return row


def check_flows(
    flows: Sequence[Flow], modes: Iterable[str], cluster: ClusterModel, node: str, objects: ClusterObjects
) -> Iterator[FlowResult]:
    """Yield what becomes of each flow on a node, mode by mode. Raises PodwireError if the node cannot be made."""
    model = cluster.node(node)
    if not model.addresses:
        raise PodwireError(
            f"node {model.name} has no address, so nothing can reach it: give it nodeIPs in --cluster, or a Node object"
            " with an InternalIP"
        )
    for mode in modes:
        rendering = render(mode, cluster, model.name, objects)
        with tempfile.TemporaryDirectory(prefix="podwire-") as directory:
            write_files(Path(directory), bundle_files(rendering, cluster))
            probe = Probe(Path(directory), model, turns=_turns(rendering.writes.ipvsadm))
        for flow in flows:
            yield _result(flow, mode, list(probe.outcomes(flow)))


def _turns(ipvsadm: str) -> int:
    """Return how many connections show each real server of each virtual service in its turn."""
    servers: dict[tuple[str, ...], int] = {}
    for line in ipvsadm.splitlines():
        words = line.split()
        if words[:1] in (["-a"], ["--add-server"]):
            servers[tuple(words[1:3])] = servers.get(tuple(words[1:3]), 0) + 1
    return max(servers.values(), default=1)


def _result(flow: Flow, mode: str, outcomes: Sequence[Outcome]) -> FlowResult:
    verdicts = {outcome.verdict for outcome in outcomes}
    verdict = next(each for each in _WEIGHT if each in verdicts)
    chosen = [outcome for outcome in outcomes if outcome.verdict == verdict]
    own = f"{format_ipv4(flow.source)}:"
    others = [outcome for outcome in chosen if not outcome.endpoint.startswith(own)] or chosen
    result = FlowResult(
        flow,
        mode,
        verdict,
        tuple(sorted({outcome.endpoint for outcome in chosen if outcome.endpoint})),
        any(outcome.masqueraded for outcome in others),
        tuple(sorted({outcome.endpoint for outcome in chosen if outcome.endpoint and outcome.masqueraded})),
        tuple(dict.fromkeys(rule for outcome in outcomes for rule in outcome.rules)),
        next((outcome.reason for outcome in outcomes if outcome.reason), ""),
        tuple(each for each in _WEIGHT if each in verdicts and each != verdict),
    )
    expected = flow.expected(mode)
    return result if expected is None else replace(result, failures=tuple(_failures(result, expected)))


def _failures(result: FlowResult, expected: Expectation) -> Iterator[str]:
    if expected.verdict not in (None, result.verdicts):
        yield f"verdict {result.verdicts}, expected {expected.verdict}"
    if expected.endpoints is not None and expected.endpoints != frozenset(result.endpoints):
        yield f"endpoints {_listed(result.endpoints)}, expected {_listed(sorted(expected.endpoints))}"
    if expected.masquerade not in (None, result.masquerade):
        yield f"{_masqueraded(result.masquerade)}, expected {_masqueraded(bool(expected.masquerade))}"


def _listed(endpoints: Sequence[str]) -> str:
    return ", ".join(endpoints) or "none"


def _masqueraded(value: bool) -> str:
    return "masqueraded" if value else "not masqueraded"
