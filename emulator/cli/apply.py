"""`emulator apply`: manifests, checked as a whole, then created or changed all together or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import click

from emulator.api.kinds import Kind
from emulator.api.messages import APPLY, KINDS, ApplyOutcome, ApplyParams, Empty, ListParams, Object
from emulator.cli.client import Client
from emulator.cli.command import command, pass_session
from emulator.cli.lists import list_all
from emulator.cli.manifests import check_places, described, kept_notes, kind_of_object, read_files
from emulator.cli.options import namespace_option, output_option
from emulator.cli.output import note, print_json, print_lines, print_yaml
from emulator.cli.session import Session

EXAMPLES = """
emulator apply -f configs/web.yaml
emulator apply -f manifests/ -R
emulator apply -f web.yaml --dry-run=server
cat web.yaml | emulator apply -f -
"""

TIMEOUT = 120.0
"""Seconds for the controller to take thousands of objects."""


@command("apply", examples=EXAMPLES)
@click.option(
    "-f", "--filename", "filenames", multiple=True, required=True, metavar="FILE", help="A file, a directory, or -."
)
@click.option("-R", "--recursive", is_flag=True, help="Also the directories in a directory.")
@namespace_option
@click.option(
    "--dry-run",
    type=click.Choice(["none", "client", "server"]),
    default="none",
    help="Change nothing: only check (client), or let the controller say what would be done (server).",
)
@output_option("json", "yaml", "name")
@pass_session
def apply(
    session: Session,
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    dry_run: str,
    output: str | None,
) -> None:
    """Create or change objects from manifests.

    All files are checked first and all problems are listed; if there is one, nothing is applied.
    """
    from emulator.api.manifest import in_namespace
    from emulator.cli.stand_ins import stand_in_notes

    items = in_namespace(read_files(filenames, recursive=recursive), namespace)
    objects = [item.object for item in items]
    custom: Sequence[Kind] | None = None
    if dry_run == "client":
        _show(objects, ["checked (dry run)"] * len(objects), output)
    else:
        with session.controller() as client:
            check_places(items, _names(client, "Node"), _names(client, "Namespace"))
            params = ApplyParams(objects=objects, dry_run=dry_run == "server")
            outcomes = client.call(APPLY, params, TIMEOUT).outcomes
            if any(kind_of_object(obj).custom for obj in objects) and dry_run == "none":
                custom = client.call(KINDS, Empty()).kinds
        _show([outcome.object for outcome in outcomes], [_word(outcome, dry_run) for outcome in outcomes], output)
    for line in kept_notes(objects, custom) + stand_in_notes(objects):
        note(f"note: {line}")


def _names(client: Client, kind: str) -> list[str]:
    return [obj["metadata"]["name"] for obj in list_all(client, ListParams(kind=kind)).items]


def _word(outcome: ApplyOutcome, dry_run: str) -> str:
    return f"{outcome.action.value} (server dry run)" if dry_run == "server" else outcome.action.value


def _show(objects: Sequence[Object], words: Sequence[str], output: str | None) -> None:
    if output == "name":
        print_lines([described(obj) for obj in objects])
    elif output is not None:
        value = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        (print_json if output == "json" else print_yaml)(value)
    else:
        print_lines([f"{described(obj)} {word}" for obj, word in zip(objects, words, strict=True)])
