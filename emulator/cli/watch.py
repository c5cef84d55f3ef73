"""`emulator get -w`: the objects there are, then each change as it comes, without gap."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from emulator.api.kinds import Kind
from emulator.api.messages import WATCH, ControlError, ErrorCode, EventType, ListParams, Object, WatchParams
from emulator.cli.client import Client
from emulator.cli.listing import Wanted, header_of, row
from emulator.cli.lists import list_all
from emulator.cli.output import Table, print_json, print_lines, print_yaml
from emulator.cli.resources import Resource


def follow(client: Client, asked: Sequence[Resource], wanted: Wanted) -> int:
    """Print until interrupted. Raises ControlError when the controller goes."""
    kinds = {resource.kind.resource: resource.kind for resource in asked}
    if len(kinds) > 1 or len(asked) > 1:
        raise click.UsageError("--watch follows one kind, or one object")
    kind, name = asked[0]
    if name:
        wanted = wanted._replace(fields=f"metadata.name={name}")
    screen = _Screen(kind, wanted)
    while True:
        try:
            _follow(client, kind, wanted, screen)
        except ControlError as error:
            if error.code is not ErrorCode.EXPIRED:
                raise


def _follow(client: Client, kind: Kind, wanted: Wanted, screen: _Screen) -> None:
    """List, then watch from there, until the controller has forgotten too much."""
    namespace = wanted.namespace if kind.namespaced else None
    listing = ListParams(
        kind=kind.key, namespace=namespace, label_selector=wanted.selector, field_selector=wanted.fields
    )
    found = list_all(client, listing, wanted.chunk)
    screen.show(found.items)
    watching = WatchParams(
        kind=kind.key,
        namespace=namespace,
        label_selector=wanted.selector,
        field_selector=wanted.fields,
        revision=found.revision,
    )
    exchange = client.open(WATCH, watching)
    for event in exchange.events():
        if event.type is not EventType.BOOKMARK:
            screen.show([event.object])
    exchange.wait()


class _Screen:
    """Prints objects as they come, in one table."""

    def __init__(self, kind: Kind, wanted: Wanted) -> None:
        self._kind = kind
        self._wanted = wanted
        self._table = Table()
        self._header = [header_of(kind, wanted)] if wanted.headers else []

    def show(self, objects: Sequence[Object]) -> None:
        """Print objects, below the header the first time."""
        output = self._wanted.output
        if output in ("json", "yaml"):
            for obj in objects:
                print_json(obj) if output == "json" else print_yaml(obj)
        elif output == "name":
            print_lines([self._kind.described(obj["metadata"]["name"]) for obj in objects])
        elif objects:
            now = time.time()
            rows = [row(self._kind, obj, self._wanted, now) for obj in objects]
            print_lines(self._table.lines(self._header + rows))
            self._header = []
