"""Renders the steps of a traced packet for people: machine by machine, namespace by namespace, one line a step.

Pure: steps and names in, lines out. `emulator trace` prints them, and the TUI can show them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from msgspec import structs

from emulator.api.messages import TraceStep
from emulator.api.problem import printable
from emulator.api.trace.rule import miss_text, rule_text


class Style(Enum):
    """What a line is, for whoever colours it."""

    LEG = "leg"  # a packet sets out: the request, the reply
    MACHINE = "machine"
    NETNS = "netns"
    STEP = "step"
    RULE = "rule"
    MISS = "miss"
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


class Names(NamedTuple):
    """What a reader knows things by.

    `addresses`: `10.96.0.10` -> `service kube-system/kube-dns`; `namespaces`: a netns -> `pod default/client`.
    """

    addresses: Mapping[str, str]
    namespaces: Mapping[str, str]


_ADDRESS = re.compile(r"(?<![\d.])(?P<address>\d{1,3}(?:\.\d{1,3}){3})(?:[.:]\d{1,5})?(?!\d)")
_ARP = "ARP"
_UNKNOWN = {"NONE": " yet", "INCOMPLETE": " yet, ARP is under way", "FAILED": ", ARP had no answer before"}
_LABEL_WIDTH = 10
_NUMBER_WIDTH = 4


def in_order(steps: Iterable[TraceStep]) -> list[TraceStep]:
    """Return steps in the order in which they happened.

    The number travels with the packet. Times are each machine's own and tell only copies on one machine apart.
    """
    return sorted(steps, key=lambda step: (step.number, step.machine, step.time))


def render(
    steps: Sequence[TraceStep], names: Names, *, verbose: bool = False, unfolded: bool = False
) -> Iterator[Line]:
    """Yield the lines of a whole trace; `steps` are in order.

    What ARP does for the packet meanwhile is one line, unless `verbose`. Rules in a row that did not match for the same
    reason are one line, unless `unfolded`.
    """
    place = ("", "")
    shown = steps if verbose else [step for step in steps if not is_arp(step)]
    if not unfolded:
        shown = fold_misses(shown)
    for index, step in enumerate(shown):
        if step.kind == "send":
            yield Line(0, Style.LEG, _leg(shown, index, names))
            place = ("", "")
        if step.kind == "underlay":
            yield Line(0, Style.CROSSING, _crossing(step))
            place = ("", "")
            continue
        if step.machine != place[0]:
            yield Line(0, Style.MACHINE, printable(step.machine))
        if (step.machine, step.netns) != place:
            owner = names.namespaces.get(step.netns)
            yield Line(1, Style.NETNS, printable(f"{owner} (netns {step.netns})" if owner else f"netns {step.netns}"))
            place = (step.machine, step.netns)
        yield _line(step, names)
        if not verbose and (asked := _arp(steps, step)):
            yield Line(2, Style.STEP, f"{'':{_NUMBER_WIDTH}}  {'arp':{_LABEL_WIDTH}} {asked}")


def is_arp(step: TraceStep) -> bool:
    """Whether a step is about an ARP packet that a traced one had to wait for."""
    return step.packet.startswith(_ARP)


def _arp(steps: Sequence[TraceStep], wanted: TraceStep) -> str:
    """Return what ARP did for a packet at a neighbour that was not known: how it was asked, the answer, its steps.

    Empty where the neighbour was known, or where another packet's question was already under way. A node numbers its
    part of the question by itself, so what belongs to it is told by the address, up to the next such question.
    """
    if wanted.kind != "neighbour" or wanted.detail.get("mac"):
        return ""
    address = str(wanted.detail.get("address", ""))
    about = re.compile(rf"{_ARP}, \w+ (?:who-has )?{re.escape(address)}(?![\d.])")
    place = (wanted.machine, wanted.netns)
    following = [step for step in steps if step.number > wanted.number]
    again = next((step.number for step in following if _asks(step, address)), None)
    own = [step for step in following if (again is None or step.number < again) and about.match(step.packet)]
    if not own:
        return ""
    left_out = f"({counted(len(own), 'step')} of ARP left out)"
    answer = next((str(step.detail.get("why", "")) for step in own if step.kind == "reply"), "")
    if answer:
        return printable(f"asked by broadcast: {answer.removeprefix('ARP: ')} {left_out}")
    link = wanted.detail.get("link")
    sent = [step for step in own if step.kind == "transmit" and step.detail.get("link") == link]
    times = counted(sum((step.machine, step.netns) == place for step in sent), "time")
    return printable(f"asked by broadcast {times}, no answer {left_out}")


def _asks(step: TraceStep, address: str) -> bool:
    return step.kind == "neighbour" and not step.detail.get("mac") and step.detail.get("address") == address


def _leg(steps: Sequence[TraceStep], index: int, names: Names) -> str:
    """Return the heading of a packet that sets out: the first, an answer, or another of the sender's own."""
    step, first = steps[index], next(step for step in steps if step.kind == "send")
    what = "reply"
    if step is first:
        what = "request"
    elif (step.machine, step.netns) == (first.machine, first.netns) and steps[index - 1].kind != "reply":
        what = "next packet"
    return f"── {what}: {printable(named(step.packet.removeprefix('IP '), names))}"


def _crossing(step: TraceStep) -> str:
    source, target = step.detail.get("from", "?"), step.detail.get("to", step.machine)
    return printable(f"══ underlay: {source} ══▶ {target} ══")


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


def _send(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return (
        "send",
        socket_name(detail).replace(" socket", "", 1) if detail.get("socket") else "by the kernel itself",
        Style.STEP,
    )


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
    place, state = f"{detail.get('address', '')} on {detail.get('link', '')}", detail.get("state", "")
    if detail.get("mac"):
        return "neighbour", f"{place} is {detail['mac']} ({state})", Style.STEP
    return "neighbour", f"{place} is not known{_UNKNOWN.get(state, '')} ({state})", Style.STEP


def _conntrack(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    entry = " ".join(detail.get("entry", "").split())
    return "conntrack", f"{detail.get('state', '')}  {entry}".rstrip(), Style.STEP


def _rule(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    style = Style.DROP if detail.get("verdict") in ("DROP", "REJECT") else Style.RULE
    return detail.get("table", "rule"), rule_text(detail), style


def _ignored(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    chain = detail.get("chain", "")
    rule = detail.get("rule", "").removeprefix(f"-A {chain} ")
    text = f"{chain}:{detail.get('number', '')} ignored, {detail.get('unknown', '')} is not supported  {rule}"
    return detail.get("table", "ignored"), text, Style.BAD


def _considered(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return detail.get("table", "rule"), miss_text(detail), Style.MISS


_SAMPLES = 3
"""So many of the values that folded rules want are shown."""


def fold_misses(steps: Sequence[TraceStep]) -> list[TraceStep]:
    """Make one step of rules in a row of one chain that failed at the same test with the same value of the packet."""
    folded: list[TraceStep] = []
    run: list[TraceStep] = []
    for step in steps:
        if run and (step.kind != "considered" or _reason(step) != _reason(run[-1])):
            folded.append(_folded(run))
            run = []
        if step.kind == "considered":
            run.append(step)
        else:
            folded.append(step)
    if run:
        folded.append(_folded(run))
    return folded


def _reason(step: TraceStep) -> tuple[object, ...]:
    return (
        step.machine,
        step.netns,
        step.packet,
        *(step.detail.get(key) for key in ("table", "chain", "test", "seen")),
    )


def _folded(run: Sequence[TraceStep]) -> TraceStep:
    if len(run) == 1:
        return run[0]
    values = list(dict.fromkeys(str(step.detail.get("wanted", "")) for step in run))
    wanted = ", ".join(values[:_SAMPLES])
    if len(values) > _SAMPLES:
        wanted += f" and {len(values) - _SAMPLES} others"
    last = run[-1].detail.get("number", "")
    return structs.replace(run[0], detail={**run[0].detail, "last": last, "wanted": wanted})


def _policy(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    style = Style.DROP if detail.get("verdict") == "DROP" else Style.RULE
    return detail.get("table", "policy"), f"{detail.get('chain', '')} policy → {detail.get('verdict', '')}", style


def _nat(detail: Detail, _step: TraceStep, names: Names) -> Written:
    """Show the end that changed, or both where both did; a port that changed alone changes its end too."""
    before, after = detail.get("before", ""), detail.get("after", "")
    old, new = before.split(" > "), after.split(" > ")
    side = ""
    if len(old) == len(new) == 2 and (old[0] == new[0]) != (old[1] == new[1]):
        end = 0 if old[0] != new[0] else 1
        side, before, after = ("from ", "to ")[end], old[end], new[end]
    return detail.get("kind", "NAT"), f"{side}{named(before, names)}  ⇒  {named(after, names)}", Style.REWRITE


def _ipvs(detail: Detail, _step: TraceStep, names: Names) -> Written:
    """Show what chose the real server: the scheduler, a template, or that the connection is known."""
    service, server = named(detail.get("service", ""), names), named(detail.get("server", ""), names)
    how = {"schedule": f"{detail.get('scheduler', '')} chose", "persistent": "persistence gives"}
    what = how.get(detail.get("what", ""), f"known connection ({detail.get('state', '')}), {detail.get('what', '')} of")
    return "ipvs", f"{service}: {what} {server}", Style.RULE


def _mark(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "mark", f"{detail.get('before', '')}  ⇒  {detail.get('after', '')}", Style.REWRITE


def _reassembled(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "reassembled", f"from {detail.get('fragments', '')} fragments", Style.STEP


def _fragmented(detail: Detail, _step: TraceStep, _names: Names) -> Written:
    return "fragmented", f"into {detail.get('fragments', '')} fragments", Style.STEP


def _deliver(detail: Detail, _step: TraceStep, names: Names) -> Written:
    if not detail.get("socket"):
        return "deliver", f"here ({detail.get('protocol', '')}); which socket takes it is not known", Style.DELIVERY
    return "deliver", f"to {named(socket_name(detail), names)}", Style.DELIVERY


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
    "considered": _considered,
    "ignored": _ignored,
    "policy": _policy,
    "nat": _nat,
    "ipvs": _ipvs,
    "mark": _mark,
    "reassembled": _reassembled,
    "fragmented": _fragmented,
    "deliver": _deliver,
    "reply": _reply,
    "drop": _drop,
}


def socket_name(detail: Mapping[str, str | int]) -> str:
    """Return the socket of a send or deliver step in words: an echo socket has an identifier in place of a port."""
    protocol, _, address = str(detail.get("socket", "")).partition(" ")
    if str(detail.get("socket")) == "kernel":
        return f"the kernel itself ({detail.get('protocol', '')})"
    if protocol == "icmp":
        return f"icmp echo socket, identifier {address.rpartition(':')[2]}"
    return f"{protocol} socket {address}"


def counted(number: int, noun: str) -> str:
    """Return `1 step`, `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def named(text: str, names: Names) -> str:
    """Return `text` with the owner of each known address behind it: `10.96.0.10 (service kube-dns)`."""

    def with_name(found: re.Match[str]) -> str:
        owner = names.addresses.get(found["address"])
        return found[0] if owner is None else f"{found[0]} ({owner})"

    return _ADDRESS.sub(with_name, text)
