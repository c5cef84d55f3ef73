"""`emulator trace`: one real packet, followed through every machine, and what came back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import click

from emulator.api.messages import (
    TRACE_COLLECT,
    TRACE_START,
    ControlError,
    TraceCollectParams,
    TraceOutcome,
    TraceStartParams,
    TraceStartResult,
    TraceStep,
    plain,
)
from emulator.api.problem import printable
from emulator.api.trace.text import Line, Style, in_order, render
from emulator.api.trace.verdict import verdict
from emulator.cli.client import TIMEOUT
from emulator.cli.command import command, pass_session
from emulator.cli.exit_status import FAILED, OK
from emulator.cli.options import (
    DEFAULT_NAMESPACE,
    complete_destination,
    complete_target,
    namespace_option,
)
from emulator.cli.output import note, print_json, print_lines
from emulator.cli.session import Session
from emulator.cli.target import Target, find_target
from emulator.cli.trace_destination import read_destination
from emulator.cli.trace_names import Directory, Flow

EXAMPLES = """
emulator trace client web
emulator trace client web --tcp 80
emulator trace client http://web/
emulator trace client 10.96.0.10 --udp 53
emulator trace client pod/web-7d9c-x2x --icmp
emulator trace client web --considered
emulator trace node/node-a web -o json
emulator trace client example.com --tcp 80
"""

_ANSWER_MARGIN = 5.0
"""Seconds beyond the packet's own time in which the node has to say how it went."""

_SPACED = frozenset({Style.LEG, Style.GOOD, Style.BAD})
"""Lines with an empty one above."""

_COLOURS: dict[Style, dict[str, Any]] = {
    Style.LEG: {"fg": "cyan", "bold": True},
    Style.MACHINE: {"bold": True},
    Style.NETNS: {"fg": "blue"},
    Style.REWRITE: {"fg": "yellow"},
    Style.CROSSING: {"fg": "cyan"},
    Style.DELIVERY: {"fg": "green"},
    Style.DROP: {"fg": "red"},
    Style.GOOD: {"fg": "green", "bold": True},
    Style.BAD: {"fg": "red", "bold": True},
}


@command("trace", examples=EXAMPLES)
@click.argument("source", metavar="SRC", shell_complete=complete_target)
@click.argument("destination", metavar="DST", shell_complete=complete_destination)
@click.option("--tcp", type=click.IntRange(1, 65_535), metavar="PORT", help="A TCP connection to this port.")
@click.option("--udp", type=click.IntRange(1, 65_535), metavar="PORT", help="A UDP datagram to this port.")
@click.option("--icmp", is_flag=True, help="An ICMP echo request.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=60),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the reply.",
)
@namespace_option
@click.option("-v", "--verbose", is_flag=True, help="Also each step of the ARP packets that the packet waits for.")
@click.option("--considered", count=True,
              help="Also the rules that did not match, and why; given twice, none are folded.")  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="The form of the output.")
@pass_session
def trace(
    session: Session,
    source: str,
    destination: str,
    tcp: int | None,
    udp: int | None,
    icmp: bool,
    timeout: float,
    namespace: str | None,
    verbose: bool,
    considered: int,
    output: str,
) -> int:
    """Follow one packet there and its reply back: every hop, rule, rewrite and drop.

    SRC is a pod, deploy/NAME, node/NAME or host/NAME. DST is a Service, a pod (pod/NAME where a Service has the name
    too), a node, a host outside, an address or a DNS name, with :PORT behind it or as an http(s) URL. Without a port
    the Service's first one is taken. The packet is a real one, and takes the path of all others.
    """
    if sum((tcp is not None, udp is not None, icmp)) > 1:
        raise click.UsageError("--tcp, --udp and --icmp exclude each other")
    wanted = read_destination(destination)
    if wanted.port and (tcp or udp or icmp):
        raise click.UsageError(f'"{destination}" has a port already; leave out --tcp, --udp and --icmp')
    own = namespace or DEFAULT_NAMESPACE
    with session.controller() as controller:
        start = find_target(controller, source, own)
        directory = Directory.read(controller)
    flow = directory.flow(wanted.word, start.namespace or own, _asked(tcp, udp, icmp=icmp), wanted.port)
    result, steps = _send(session, start, flow, directory.machines, timeout, considered=considered > 0)
    if output == "json":
        print_json(_as_json(start, flow, result, steps))
    else:
        lines = _rendered(directory, flow, result, steps, verbose=verbose, unfolded=considered > 1)
        print_lines(_as_text(start, flow, result, lines))
    return OK if result.outcome is TraceOutcome.REPLIED else FAILED


def _asked(tcp: int | None, udp: int | None, *, icmp: bool) -> tuple[str, int] | None:
    if icmp:
        return "icmp", 0
    if tcp is not None:
        return "tcp", tcp
    return None if udp is None else ("udp", udp)


def _send(
    session: Session, start: Target, flow: Flow, machines: Sequence[str], timeout: float, *, considered: bool
) -> tuple[TraceStartResult, list[TraceStep]]:
    """Have the packet sent, then collect what every machine recorded of it."""
    identity = int.from_bytes(os.urandom(7), "big")
    params = TraceStartParams(
        trace=identity,
        destination=flow.destination,
        protocol=flow.protocol,
        port=flow.port,
        namespace=start.namespace or DEFAULT_NAMESPACE,
        pod=start.pod,
        timeout=timeout,
        considered=considered,
    )
    with session.node(start.node) as client:
        result = client.call(TRACE_START, params, timeout + _ANSWER_MARGIN)
    return result, in_order(step for name in machines for step in _collect(session, name, identity))


def _collect(session: Session, node: str, identity: int) -> list[TraceStep]:
    """Return the steps on a node; one that is away is told of and left out."""
    try:
        with session.node(node) as client:
            exchange = client.open(TRACE_COLLECT, TraceCollectParams(trace=identity, follow=False))
            steps = list(exchange.events(TIMEOUT))
            exchange.wait()
    except ControlError as error:
        note(f"note: the steps on {node} are missing: {error}")
        return []
    return steps


def _rendered(
    directory: Directory,
    flow: Flow,
    result: TraceStartResult,
    steps: Sequence[TraceStep],
    *,
    verbose: bool,
    unfolded: bool = False,
) -> list[Line]:
    hint = directory.hint(result.address, flow.protocol, flow.port)
    last = verdict(steps, result.outcome, result.message, directory.names, hint=hint)
    return [*render(steps, directory.names, verbose=verbose, unfolded=unfolded), last]


def _as_json(start: Target, flow: Flow, result: TraceStartResult, steps: Sequence[TraceStep]) -> dict[str, Any]:
    return {
        "source": {"namespace": start.namespace, "pod": start.pod, "node": start.node},
        "destination": {"name": flow.label, "address": result.address, "protocol": flow.protocol, "port": flow.port},
        "outcome": result.outcome.value,
        "message": result.message,
        "steps": [plain(step) for step in steps],
    }


def _as_text(start: Target, flow: Flow, result: TraceStartResult, rendered: Iterable[Line]) -> list[str]:
    port = f" port {flow.port}" if flow.port else ""
    address = f" ({result.address})" if result.address and result.address != flow.label else ""
    title = printable(f"trace: {start.label} → {flow.label}{address}, {flow.protocol}{port}")
    lines = [click.style(title, bold=True)]
    for line in rendered:
        if line.style in _SPACED:
            lines.append("")
        lines.append(click.style(str(line), **_COLOURS.get(line.style, {})))
    return lines
