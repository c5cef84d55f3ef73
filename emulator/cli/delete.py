"""`emulator delete`: objects by name, label or file; by default it waits until they are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from emulator.api.custom_kinds import DEFINITION
from emulator.api.kinds import Kind
from emulator.api.messages import (
    DELETE,
    WATCH,
    ControlError,
    DeleteParams,
    Empty,
    ErrorCode,
    EventType,
    ListParams,
    WatchEvent,
    WatchParams,
)
from emulator.cli.client import Client, Exchange
from emulator.cli.command import command, pass_session
from emulator.cli.lists import list_all
from emulator.cli.options import (
    DEFAULT_NAMESPACE,
    complete_resource,
    namespace_option,
    output_option,
    selector_option,
)
from emulator.cli.output import note, print_error
from emulator.cli.resources import Resource, parse_resources
from emulator.cli.session import Session

EXAMPLES = """
emulator delete pod client
emulator delete deploy/web svc/web
emulator delete -f configs/web.yaml
emulator delete pods -l app=web --grace-period 0 --force
"""


_LAST = frozenset({"Namespace", DEFINITION})


class Victim(NamedTuple):
    """An object that shall go."""

    kind: Kind
    namespace: str
    name: str


@command("delete", examples=EXAMPLES)
@click.argument("resources", metavar="[KIND NAME… | KIND/NAME…]", nargs=-1, shell_complete=complete_resource)
@click.option("-f", "--filename", "filenames", multiple=True, metavar="FILE", help="What these manifests name.")
@click.option("-R", "--recursive", is_flag=True, help="Also the directories in a directory.")
@namespace_option
@selector_option
@click.option("--all", "everything", is_flag=True, help="All objects of the kind in the namespace.")
@click.option("--grace-period", type=click.IntRange(min=0), metavar="SECONDS", help="Time for pods to end.")
@click.option("--force", is_flag=True, help="At once: with no time to end.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Return only when the objects are gone.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer than this.")
@click.option("--ignore-not-found", is_flag=True, help="What does not exist counts as deleted.")
@output_option("name")
@pass_session
def delete(
    session: Session,
    resources: tuple[str, ...],
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    selector: str,
    everything: bool,
    grace_period: int | None,
    force: bool,
    wait: bool,
    timeout: float | None,
    ignore_not_found: bool,
    output: str | None,
) -> int:
    """Delete objects. Pods get time to end, and what is owned by what is deleted goes with it.

    Of files, namespaces and custom kinds go last, after what is in them.
    """
    asked = parse_resources(resources, session) if resources or not filenames else []
    _check(asked, bool(filenames), bool(selector), everything)
    grace = 0 if force and grace_period is None else grace_period
    deadline = None if timeout is None else time.monotonic() + timeout
    with session.controller() as client:
        victims = list(_of_files(filenames, recursive, namespace)) if filenames else []
        victims += _of_words(client, asked, namespace or DEFAULT_NAMESPACE, selector)
        if not victims:
            note("No resources found")
        staying, failed = _delete(client, victims, grace, ignore=ignore_not_found, output=output)
        if wait:
            for victim, uid in staying:
                _wait_gone(client, victim, uid, deadline)
    return 1 if failed else 0


def _check(asked: Sequence[Resource], files: bool, selector: bool, everything: bool) -> None:
    named = any(resource.name for resource in asked)
    if asked and files:
        raise click.UsageError("name objects, or give files with -f, not both")
    if named and (selector or everything):
        raise click.UsageError("a name cannot be given together with a selector or --all")
    if asked and not named and not selector and not everything:
        raise click.UsageError("which ones? give names, a selector with -l, or --all")


def _of_files(filenames: Sequence[str], recursive: bool, namespace: str | None) -> Iterator[Victim]:
    from emulator.api.manifest import in_namespace
    from emulator.cli.manifests import kind_of_object, read_files

    items = in_namespace(read_files(filenames, recursive=recursive), namespace)
    for item in sorted(items, key=lambda item: item.object["kind"] in _LAST):
        metadata = item.object["metadata"]
        yield Victim(kind_of_object(item.object), metadata.get("namespace", ""), metadata["name"])


def _of_words(client: Client, asked: Sequence[Resource], namespace: str, selector: str) -> Iterator[Victim]:
    for kind, name in asked:
        own = namespace if kind.namespaced else ""
        if name:
            yield Victim(kind, own, name)
            continue
        params = ListParams(kind=kind.key, namespace=own if kind.namespaced else None, label_selector=selector)
        for obj in list_all(client, params).items:
            yield Victim(kind, own, obj["metadata"]["name"])


def _delete(
    client: Client, victims: Sequence[Victim], grace: int | None, *, ignore: bool, output: str | None
) -> tuple[list[tuple[Victim, str]], bool]:
    """Delete; return those that are still ending, with their uids, and whether some did not exist."""
    staying = []
    failed = False
    for victim in victims:
        params = DeleteParams(kind=victim.kind.key, name=victim.name, namespace=victim.namespace, grace=grace)
        try:
            result = client.call(DELETE, params)
        except ControlError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            if not ignore:
                failed = True
                print_error(error.message, "Error from server (NotFound): ")
            continue
        if not result.gone:
            staying.append((victim, result.object["metadata"]["uid"]))
        click.echo(_line(victim, output, forced=grace == 0))
    return staying, failed


def _line(victim: Victim, output: str | None, *, forced: bool) -> str:
    if output == "name":
        return victim.kind.described(victim.name)
    group = f".{victim.kind.group}" if victim.kind.group else ""
    return f'{victim.kind.singular}{group} "{victim.name}" {"force deleted" if forced else "deleted"}'


def _wait_gone(client: Client, victim: Victim, uid: str, deadline: float | None) -> None:
    """Wait until this very object is gone. Raises ControlError (UNAVAILABLE) at the deadline."""
    params = WatchParams(
        kind=victim.kind.key,
        namespace=victim.namespace if victim.kind.namespaced else None,
        field_selector=f"metadata.name={victim.name}",
    )
    exchange = client.open(WATCH, params)
    present = False
    for event in _until(exchange, victim, deadline):
        if event.type is not EventType.BOOKMARK and event.object["metadata"]["uid"] == uid:
            present = event.type is not EventType.DELETED
        # The bookmark ends the list of what there is: an object that was not in it had gone already.
        if not present and event.type is not EventType.ADDED:
            exchange.cancel()
            break
    while not exchange.ended:
        exchange.receive()


def _until(exchange: Exchange[WatchEvent, Empty], victim: Victim, deadline: float | None) -> Iterator[WatchEvent]:
    while not exchange.ended:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            yield from exchange.receive(left)
        except ControlError:
            if deadline is None or time.monotonic() < deadline:
                raise
            name = victim.kind.described(victim.name)
            message = f"timed out waiting for {name} to go; it is still ending, see: emulator get {name}"
            raise ControlError(ErrorCode.UNAVAILABLE, message) from None
