"""The command `emulator describe`."""

from __future__ import annotations

import time

import click

from emulator.api.messages import GET, GetParams, ListParams, Object
from emulator.api.store.normalize import reference_of
from emulator.cli.client import Client
from emulator.cli.command import command, pass_session
from emulator.cli.describe.page import Page, conditions, head
from emulator.cli.lists import list_all
from emulator.cli.options import (
    DEFAULT_NAMESPACE,
    complete_resource,
    namespace_option,
    output_option,
    selector_option,
)
from emulator.cli.output import note, print_json, print_lines
from emulator.cli.resources import Resource, parse_resources
from emulator.cli.session import Session

EXAMPLES = """
emulator describe pod client
emulator describe svc/web
emulator describe node node-a
emulator describe pods -l app=web
"""

_WORKLOADS = frozenset({"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"})


@command("describe", examples=EXAMPLES)
@click.argument("resources", metavar="KIND [NAME…] | KIND/NAME…", nargs=-1, shell_complete=complete_resource)
@namespace_option
@selector_option
@output_option("json")
@pass_session
def describe(
    session: Session, resources: tuple[str, ...], namespace: str | None, selector: str, output: str | None
) -> None:
    """Tell all about some objects: pods, Services, nodes, workloads and others; `-o json` gives them whole."""
    asked = parse_resources(resources, session)
    if selector and any(resource.name for resource in asked):
        raise click.UsageError("a name cannot be given together with a selector")
    with session.controller() as client:
        objects = [
            obj for resource in asked for obj in _find(client, resource, namespace or DEFAULT_NAMESPACE, selector)
        ]
        if output == "json":
            print_json(objects)
            return
        for index, obj in enumerate(objects):
            page = Page()
            _write(page, obj, client)
            print_lines([*(["", ""] if index else []), *page.lines()])
    if not objects:
        note("No resources found")


def _find(client: Client, resource: Resource, namespace: str, selector: str) -> list[Object]:
    kind, name = resource
    own = namespace if kind.namespaced else ""
    if name:
        return [client.call(GET, GetParams(kind=kind.key, name=name, namespace=own)).object]
    params = ListParams(kind=kind.key, namespace=own if kind.namespaced else None, label_selector=selector)
    return list_all(client, params).items


def _write(page: Page, obj: Object, client: Client) -> None:
    """Write the page of an object; that of a kind without a page of its own is its spec."""
    kind = reference_of(obj).kind
    if kind == "Pod":
        from emulator.cli.describe.events import add_events, events_of
        from emulator.cli.describe.pod import describe_pod

        describe_pod(page, obj)
        add_events(page, events_of(client, obj), time.time())
    elif kind == "Service":
        from emulator.cli.describe.service import describe_service

        describe_service(page, obj, client)
    elif kind == "Node":
        from emulator.cli.describe.node import describe_node

        describe_node(page, obj, client)
    elif kind in _WORKLOADS:
        from emulator.cli.describe.workload import describe_workload

        describe_workload(page, obj, client)
    else:
        _write_other(page, obj)


def _write_other(page: Page, obj: Object) -> None:
    from emulator.cli.yaml_text import yaml_text

    head(page, obj)
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    for line in yaml_text(rest).rstrip().split("\n") if rest else ():
        page.add_text(line)
    if obj.get("status", {}).get("conditions"):
        conditions(page, obj)
