"""`emulator logs`: what a container's program wrote."""

from __future__ import annotations

import json

import click

from emulator.api.messages import LOGS, LogsParams
from emulator.cli.command import command, pass_session
from emulator.cli.options import DEFAULT_NAMESPACE, complete_target, namespace_option, output_option
from emulator.cli.session import Session
from emulator.cli.target import find_target

EXAMPLES = """
emulator logs client
emulator logs deploy/web --tail 20
emulator logs -f -c server web-0
"""


@command("logs", examples=EXAMPLES)
@click.argument("target", metavar="POD|KIND/NAME", shell_complete=complete_target)
@namespace_option
@click.option("-c", "--container", default="", metavar="NAME", help="Which container; the first where none is given.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@click.option("--tail", type=click.IntRange(min=-1), default=-1, metavar="LINES", help="So many lines; -1: all kept.")
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
    previous: bool,
    timestamps: bool,
    output: str | None,
) -> None:
    """Print a container's log; with `-o json` one object a line."""
    with session.controller() as controller:
        found = find_target(controller, target, namespace or DEFAULT_NAMESPACE)
    if not found.pod:
        raise click.UsageError("a node has no container; its process writes into the logs of the state directory")
    params = LogsParams(
        pod=found.pod,
        namespace=found.namespace,
        container=container,
        tail=None if tail < 0 else tail,
        follow=follow,
        previous=previous,
    )
    with session.node(found.node) as client:
        exchange = client.open(LOGS, params)
        for line in exchange.events():
            if output == "json":
                click.echo(json.dumps({"time": line.time, "text": line.text}))
            else:
                click.echo(f"{line.time} {line.text}" if timestamps else line.text)
        exchange.wait()
