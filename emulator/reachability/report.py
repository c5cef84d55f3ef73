"""Results of flows as people and programs read them: a table with the modes side by side, JSON, JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from emulator.api.junit import JunitCase, JunitSuite, junit_document
from emulator.reachability.check import FlowResult

DIFFERS = "≠"
HEADER = ("FLOW", "PACKET", "MODE", "VERDICT", "MASQUERADE", "ENDPOINTS")


def by_flow(results: Sequence[FlowResult], flows: int) -> list[list[FlowResult]]:
    """Return the results of each flow, which come mode by mode, `flows` of each."""
    return [list(results[number::flows]) for number in range(flows)]


def to_json(results: Sequence[FlowResult], flows: int) -> dict[str, Any]:
    """Return the document of `-o json`: each flow in its modes."""
    return {"flows": [result.to_json() for group in by_flow(results, flows) for result in group]}


def table_rows(results: Sequence[FlowResult], flows: int) -> list[tuple[str, ...]]:
    """Return the table: a row for each answer; modes that give the same share one, those that do not are marked."""
    rows: list[tuple[str, ...]] = [HEADER]
    for group in by_flow(results, flows):
        answers = list(dict.fromkeys(result.answer for result in group))
        for place, answer in enumerate(answers):
            same = [result for result in group if result.answer == answer]
            modes = ",".join(result.mode for result in same)
            verdict, endpoints, masquerade = answer
            reason = f" ({same[0].reason})" if same[0].reason else ""
            first = place == 0
            rows.append(
                (
                    same[0].flow.name if first else "",
                    str(same[0].flow) if first and str(same[0].flow) != same[0].flow.name else "",
                    f"{DIFFERS} {modes}" if len(answers) > 1 else modes,
                    verdict + reason,
                    _masquerade(same[0], masquerade=masquerade),
                    ", ".join(endpoints),
                )
            )
    return rows


def _masquerade(result: FlowResult, *, masquerade: bool) -> str:
    """Say whether the source is masqueraded; of a client that may be sent to itself, that this is only then so."""
    if not result.endpoints:
        return ""
    if result.masqueraded in ((), result.endpoints):
        return "yes" if masquerade else "no"
    return f"{'yes' if masquerade else 'no'}, {'only' if masquerade else 'but'} to {', '.join(result.masqueraded)}"


def failure_lines(results: Sequence[FlowResult]) -> list[str]:
    """Return a line for each expectation that does not hold."""
    return [f"{result.flow.name}: {result.mode}: {failure}" for result in results for failure in result.failures]


def junit(results: Sequence[FlowResult]) -> str:
    """Return a JUnit document: a suite for each mode, a case for each flow; without `expect` a flow always passes."""
    suites = [
        JunitSuite(name=mode, cases=[_case(mode, result) for result in group])
        for mode, group in groupby(results, key=lambda result: result.mode)
    ]
    return junit_document("emulator proxy check", suites)


def _case(mode: str, result: FlowResult) -> JunitCase:
    return JunitCase(
        name=result.flow.name,
        classname=f"proxy.{mode}",
        message="; ".join(result.failures),
        detail="\n".join((str(result.flow), *result.failures, *result.rules)),
    )
