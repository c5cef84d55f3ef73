"""`emulator get`: objects as kubectl lists them, once or as they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from emulator.api.kinds import Kind
from emulator.api.messages import GET, ControlError, ErrorCode, GetParams, ListParams, Object
from emulator.cli.client import Client
from emulator.cli.command import command, pass_session
from emulator.cli.listing import Wanted, tables
from emulator.cli.lists import CHUNK, list_all
from emulator.cli.options import (
    DEFAULT_NAMESPACE,
    complete_resource,
    namespace_option,
    output_option,
    selector_option,
)
from emulator.cli.output import note, print_error, print_json, print_lines, print_yaml
from emulator.cli.resources import Resource, parse_resources, several_kinds
from emulator.cli.session import Session

EXAMPLES = """
emulator get pods
emulator get pods -A -o wide
emulator get deployment,service -l app=web
emulator get svc/web -o yaml
emulator get pods -w
"""


@command("get", examples=EXAMPLES)
@click.argument("resources", metavar="KIND[,KIND] [NAME…]", nargs=-1, shell_complete=complete_resource)
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces.")
@output_option("wide", "json", "yaml", "name")
@selector_option
@click.option("--field-selector", default="", metavar="FIELDS", help="Only objects with: spec.nodeName=node-a.")
@click.option("-w", "--watch", is_flag=True, help="Go on printing objects as they change, until Ctrl-C.")
@click.option(
    "--chunk-size",
    type=click.IntRange(min=0),
    default=CHUNK,
    show_default=True,
    metavar="N",
    help="Ask for so many objects at a time; 0: for all at once.",
)
@click.option("--no-headers", is_flag=True, help="No line of column names.")
@click.option("--show-labels", is_flag=True, help="Show the labels as the last column.")
@pass_session
def get(
    session: Session,
    resources: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,
    output: str | None,
    selector: str,
    field_selector: str,
    watch: bool,
    chunk_size: int,
    no_headers: bool,
    show_labels: bool,
) -> int:
    """List objects, as kubectl does.

    KIND is a kind of object in any of its names (pods, po, deployment, svc, nodes …), several with commas, or `all`.
    """
    asked = parse_resources(resources, session)
    scope = None if all_namespaces else namespace or DEFAULT_NAMESPACE
    wanted = Wanted(scope, selector, field_selector, output, not no_headers, show_labels, chunk_size)
    if all_namespaces and any(resource.name for resource in asked):
        raise click.UsageError("a name cannot be given together with --all-namespaces")
    if selector and any(resource.name for resource in asked):
        raise click.UsageError("a name cannot be given together with a selector")
    if any(resource.kind.kind == "Endpoints" for resource in asked):
        note("note: only Endpoints that users wrote are here; see: emulator get endpointslices")
    with session.controller() as client:
        if watch:
            from emulator.cli.watch import follow

            return follow(client, asked, wanted)
        return _get(client, asked, wanted)


def _get(client: Client, asked: Sequence[Resource], wanted: Wanted) -> int:
    groups, errors = fetch(client, asked, wanted)
    objects = [obj for _, found in groups for obj in found]
    if wanted.output in ("json", "yaml"):
        single = len(asked) == 1 and asked[0].name
        value: Any = objects[0] if single and objects else {**_LIST, "items": objects}
        if not (single and errors):
            (print_json if wanted.output == "json" else print_yaml)(value)
    elif wanted.output == "name":
        print_lines([kind.described(obj["metadata"]["name"]) for kind, found in groups for obj in found])
    elif objects:
        print_lines(tables(groups, wanted, prefixed=several_kinds(asked)))
    elif not errors:
        namespaced = wanted.namespace is not None and any(kind.namespaced for kind, _ in groups)
        note(f"No resources found in {wanted.namespace} namespace." if namespaced else "No resources found")
    for error in errors:
        print_error(error.message, "Error from server (NotFound): ")
    return 1 if errors else 0


_LIST = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}}


def fetch(
    client: Client, asked: Sequence[Resource], wanted: Wanted
) -> tuple[list[tuple[Kind, list[Object]]], list[ControlError]]:
    """Return the objects asked for, by kind, and the errors of those that do not exist."""
    groups: dict[str, tuple[Kind, list[Object]]] = {}
    errors: list[ControlError] = []
    for kind, name in asked:
        _, found = groups.setdefault(kind.resource, (kind, []))
        if not name:
            found += _list(client, kind, wanted)
            continue
        namespace = wanted.namespace or "" if kind.namespaced else ""
        try:
            found.append(client.call(GET, GetParams(kind=kind.key, name=name, namespace=namespace)).object)
        except ControlError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            errors.append(error)
    return [*groups.values()], errors


def _list(client: Client, kind: Kind, wanted: Wanted) -> list[Object]:
    params = ListParams(
        kind=kind.key,
        namespace=wanted.namespace if kind.namespaced else None,
        label_selector=wanted.selector,
        field_selector=wanted.fields,
    )
    return list_all(client, params, wanted.chunk).items
