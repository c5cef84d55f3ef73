"""`emulator scale`: how many pods a workload shall have."""

from __future__ import annotations

import click

from emulator.api.messages import SCALE, ScaleParams
from emulator.cli.command import command, pass_session
from emulator.cli.options import DEFAULT_NAMESPACE, complete_resource, namespace_option, output_option
from emulator.cli.output import print_json
from emulator.cli.resources import parse_resources
from emulator.cli.session import Session

EXAMPLES = """
emulator scale deployment/web --replicas 5
emulator scale deploy web api --replicas 0
emulator scale sts/db --replicas 3 --current-replicas 2
"""


@command("scale", examples=EXAMPLES)
@click.argument("resources", metavar="KIND NAME… | KIND/NAME…", nargs=-1, shell_complete=complete_resource)
@click.option("--replicas", type=click.IntRange(min=0), required=True, metavar="N", help="How many pods.")
@click.option("--current-replicas", type=click.IntRange(min=0), metavar="N", help="Only if there are so many now.")
@namespace_option
@output_option("json", "name")
@pass_session
def scale(
    session: Session,
    resources: tuple[str, ...],
    replicas: int,
    current_replicas: int | None,
    namespace: str | None,
    output: str | None,
) -> None:
    """Set the number of pods of Deployments, ReplicaSets or StatefulSets."""
    asked = parse_resources(resources)
    if any(not resource.name for resource in asked):
        raise click.UsageError("which one? give a name: deployment/web")
    with session.controller() as client:
        for kind, name in asked:
            params = ScaleParams(
                kind=kind.key,
                name=name,
                namespace=namespace or DEFAULT_NAMESPACE,
                replicas=replicas,
                current_replicas=current_replicas,
            )
            obj = client.call(SCALE, params).object
            if output == "json":
                print_json(obj)
            else:
                click.echo(kind.described(name) + ("" if output == "name" else " scaled"))
