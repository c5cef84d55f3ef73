"""Renders the steps of a traced packet for people: machine by machine, namespace by namespace, one line a step.

Pure: steps and names in, lines out. `emulator trace` prints them, and the TUI can show them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from emulator.api.messages import TraceOutcome, TraceStep
from emulator.api.problem import printable


class Style(Enum):
    """What a line is, for whoever colours it."""

    LEG = "leg"  # a packet sets out: the request, the reply
    MACHINE = "machine"
    NETNS = "netns"
    STEP = "step"
    RULE = "rule"
    REWRITE = "rewrite"
    CROSSING = "crossing"
    DELIVERY = "delivery"
    DROP = "drop"
    GOOD = "good"
    BAD = "bad"


class Line(NamedTuple):
    """One line of a rendered trace, not indented yet."""

    depth: int
    style: Style
    text: str

    def __str__(self) -> str:
        return f"{'  ' * self.depth}{self.text}"


Names = Mapping[str, str]
"""Addresses, and addresses with ports, to what they belong to: `10.96.0.10` -> `service kube-system/kube-dns`."""

_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d])")
_LABEL_WIDTH = 11
_NUMBER_WIDTH = 4


def in_order(steps: Iterable[TraceStep]) -> list[TraceStep]:
    """Return steps in the order in which they happened.

    The number travels with the packet. Times are each machine's own and tell only copies on one machine apart.
    """
    return sorted(steps, key=lambda step: (step.number, step.machine, step.time))


def render(steps: Sequence[TraceStep], names: Names) -> Iterator[Line]:
    """Yield the lines of a whole trace; `steps` are in order."""
    place = ("", "")
    legs = 0
    for step in steps:
        if step.kind == "send":
            yield Line(0, Style.LEG, _leg(step, legs, steps[0]))
            legs += 1
            place = ("", "")
        if step.kind == "underlay":
            yield Line(0, Style.CROSSING, _crossing(step))
            place = ("", "")
            continue
        if step.machine != place[0]:
            yield Line(0, Style.MACHINE, printable(step.machine))
        if (step.machine, step.netns) != place:
            yield Line(1, Style.NETNS, f"netns {printable(step.netns)}")
            place = (step.machine, step.netns)
        yield _line(step, names)


def _leg(step: TraceStep, legs: int, first: TraceStep) -> str:
    """Return the heading of a packet that sets out: the first, an answer, or another of the sender's own."""
    if not legs:
        what = "request"
    else:
        what = "next packet" if (step.machine, step.netns) == (first.machine, first.netns) else "reply"
    return f"── {what}: {printable(step.packet)}"


def _crossing(step: TraceStep) -> str:
    source, target = step.detail.get("from", "?"), step.detail.get("to", step.machine)
    return f"══ underlay: {source} ══▶ {target} ══"


def _line(step: TraceStep, names: Names) -> Line:
    label, text, style = _describe(step, names)
    number = str(step.number).rjust(_NUMBER_WIDTH)
    return Line(2, style, f"{number}  {label.ljust(_LABEL_WIDTH)} {printable(text)}".rstrip())


def _describe(step: TraceStep, names: Names) -> tuple[str, str, Style]:
    """Return label, text and style of a step."""
    writer = _WRITERS.get(step.kind)
    if writer is None:
        return step.kind, " ".join(f"{key}={value}" for key, value in step.detail.items()), Style.STEP
    return writer({key: str(value) for key, value in step.detail.items()}, step, names)


Detail = Mapping[str, str]
Written = tuple[str, str, Style]


def _send(_detail: Detail, step: TraceStep, names: Names) -> Written:
    return "send", named(step.packet, names), Style.STEP


def _receive(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "receive", f"{detail.get('link', '')}  {detail.get('frame', '')}", Style.STEP


def _transmit(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "transmit", f"{detail.get('link', '')}  {detail.get('frame', '')}", Style.STEP


def _bridge(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    text = f"{detail.get('bridge', '')}: in by {detail.get('port', '')}, {detail.get('decision', '')}"
    return "bridge", text, Style.STEP


def _route(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    route, decision = detail.get("route", ""), detail.get("decision", "")
    way = f"via {detail['gateway']} dev {detail.get('link', '')}" if detail.get("gateway") else ""
    shown = f"{decision}: {route or way or detail.get('link', '')}"
    return "route", shown, Style.DROP if decision == "unreachable" else Style.STEP


def _neighbour(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    mac = detail.get("mac") or "not known yet"
    text = f"{detail.get('address', '')} on {detail.get('link', '')} is {mac} ({detail.get('state', '')})"
    return "neighbour", text, Style.STEP


def _conntrack(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    entry = " ".join(detail.get("entry", "").split())
    return "conntrack", f"{detail.get('state', '')}  {entry}".rstrip(), Style.STEP


def _rule(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    place = f"{detail.get('table', '')} {detail.get('chain', '')}:{detail.get('number', '')}"
    rule = detail.get("rule", "").removeprefix(f"-A {detail.get('chain', '')} ")
    verdict = detail.get("verdict", "")
    style = Style.DROP if verdict in ("DROP", "REJECT") else Style.RULE
    return "rule", f"{place}  → {verdict}  [{rule}]", style


def _policy(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    text = f"{detail.get('table', '')} {detail.get('chain', '')}  → {detail.get('verdict', '')}"
    return "policy", text, Style.DROP if detail.get("verdict") == "DROP" else Style.STEP


def _nat(detail: Detail, _step: TraceStep, names: Names) -> Written:
    before, after = named(detail.get("before", ""), names), named(detail.get("after", ""), names)
    return detail.get("kind", "NAT"), f"{before}  ⇒  {after}", Style.REWRITE


def _mark(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "mark", f"{detail.get('before', '')}  ⇒  {detail.get('after', '')}", Style.REWRITE


def _reassembled(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "reassembled", f"from {detail.get('fragments', '')} fragments", Style.STEP


def _fragmented(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "fragmented", f"into {detail.get('fragments', '')} fragments", Style.STEP


def _deliver(detail: Detail, _step: TraceStep, names: Names) -> Written:
    text = f"to the {detail.get('protocol', '')} socket {named(detail.get('socket', ''), names)}"
    return "deliver", text, Style.DELIVERY


def _reply(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "reply", detail.get("why", ""), Style.STEP


def _drop(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    rest = [f"{key} {value}" for key, value in detail.items() if key not in ("reason", "explanation") and value]
    where = f" ({', '.join(rest)})" if rest else ""
    return "DROP", f"{detail.get('reason', '')}: {detail.get('explanation', '')}{where}", Style.DROP


_WRITERS = {
    "send": _send,
    "receive": _receive,
    "transmit": _transmit,
    "bridge": _bridge,
    "route": _route,
    "neighbour": _neighbour,
    "conntrack": _conntrack,
    "rule": _rule,
    "policy": _policy,
    "nat": _nat,
    "mark": _mark,
    "reassembled": _reassembled,
    "fragmented": _fragmented,
    "deliver": _deliver,
    "reply": _reply,
    "drop": _drop,
}


def named(text: str, names: Names) -> str:
    """Return `text` with the owner of each known address behind it: `10.96.0.10 (service kube-dns)`."""

    def with_name(found: re.Match[str]) -> str:
        owner = names.get(found[0])
        return found[0] if owner is None else f"{found[0]}({owner})"

    return _ADDRESS.sub(with_name, text)


def verdict(steps: Sequence[TraceStep], outcome: TraceOutcome, message: str) -> Line:
    """Return the last line: how the packet fared, and why it was lost if it was."""
    drop = next((step for step in reversed(steps) if step.kind == "drop"), None)
    hops = len({(step.machine, step.netns) for step in steps})
    if outcome is TraceOutcome.REPLIED:
        text = f"verdict: answered ({message}), {len(steps)} steps through {hops} namespaces"
        return Line(0, Style.GOOD, printable(text))
    words = {TraceOutcome.REFUSED: "refused", TraceOutcome.TIMEOUT: "no answer", TraceOutcome.FAILED: "not sent"}
    text = f"verdict: {words[outcome]} ({message})"
    if drop is not None:
        detail = drop.detail
        text += (
            f"; dropped on {drop.machine} in netns {drop.netns}: {detail.get('reason')}, {detail.get('explanation')}"
        )
    return Line(0, Style.BAD, printable(text))
