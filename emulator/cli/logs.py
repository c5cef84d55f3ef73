"""`emulator logs`: what a container's program wrote."""

from __future__ import annotations

import json
import re

import click

from emulator.api.messages import LOGS, LogsParams
from emulator.cli.command import command, pass_session
from emulator.cli.options import DEFAULT_NAMESPACE, complete_target, namespace_option, output_option
from emulator.cli.output import note
from emulator.cli.session import Session
from emulator.cli.target import find_target

EXAMPLES = """
emulator logs client
emulator logs deploy/web --tail 20
emulator logs -f -c server web-0
emulator logs web-0 --all-containers --since 5m
"""


class Duration(click.ParamType[float]):
    """Seconds, minutes or hours, as kubectl takes them."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds of `5s`, `2m` or `1h30m`."""
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|[hms])", str(value))
        if not parts or "".join(number + unit for number, unit in parts) != str(value):
            self.fail(f'"{value}" is no duration: give one like 5s, 2m or 3h', param, ctx)
        return sum(float(number) * units[unit] for number, unit in parts)


@command("logs", examples=EXAMPLES)
@click.argument("target", metavar="POD|KIND/NAME", shell_complete=complete_target)
@namespace_option
@click.option("-c", "--container", default="", metavar="NAME", help="Which container; the first where none is given.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@click.option("--tail", type=click.IntRange(min=-1), default=-1, metavar="LINES", help="So many lines; -1: all kept.")
@click.option("--since", type=Duration(), metavar="5s|2m|3h", help="Only what is no older than this.")
@click.option("--all-containers", is_flag=True, help="Those of all containers of the pod.")
@click.option("--prefix", is_flag=True, help="Before each line the pod and container that it comes from.")
@click.option("-p", "--previous", is_flag=True, help="The log of the container before its last restart.")
@click.option("--timestamps", is_flag=True, help="Each line's time before it.")
@output_option("json")
@pass_session
def logs(
    session: Session,
    target: str,
    namespace: str | None,
    container: str,
    follow: bool,
    tail: int,
    since: float | None,
    all_containers: bool,
    prefix: bool,
    previous: bool,
    timestamps: bool,
    output: str | None,
) -> None:
    """Print a container's log; with `-o json` one object a line."""
    with session.controller() as controller:
        found = find_target(controller, target, namespace or DEFAULT_NAMESPACE)
    if not found.pod:
        raise click.UsageError("a node has no container; its process writes into the logs of the state directory")
    if container and all_containers:
        raise click.UsageError("--all-containers and -c cannot be given together")
    names = [each["name"] for each in found.object.get("spec", {}).get("containers", [])] or [found.pod]  # a host's
    if len(names) > 1 and not container and not all_containers:
        container = names[0]
        note(f'Defaulted container "{container}" out of: {", ".join(names)}')
    params = LogsParams(
        pod=found.pod,
        namespace=found.namespace,
        container=container,
        tail=None if tail < 0 else tail,
        follow=follow,
        previous=previous,
        since=since,
        all_containers=all_containers,
    )
    with session.node(found.node) as client:
        exchange = client.open(LOGS, params)
        for line in exchange.events():
            if output == "json":
                named = {"container": line.container} if line.container else {}
                click.echo(json.dumps({"time": line.time, **named, "text": line.text}))
                continue
            origin = f"[pod/{found.pod}/{line.container or container or names[0]}] " if prefix else ""
            click.echo(f"{origin}{line.time} {line.text}" if timestamps else f"{origin}{line.text}")
        exchange.wait()
