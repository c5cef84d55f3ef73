"""Options that several commands share, and the completion of names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from emulator.cli.session import Session

DEFAULT_NAMESPACE = "default"
COMPLETION_TIMEOUT = 1.0

F = TypeVar("F", bound=Callable[..., Any])


def namespace_option(function: F) -> F:
    """`-n`."""
    return click.option(
        "-n",
        "--namespace",
        metavar="NAME",
        envvar="PODWIRE_NAMESPACE",
        help="The namespace; `default` where none is given.",
        shell_complete=complete_namespace,
    )(function)


def selector_option(function: F) -> F:
    """`-l`."""
    return click.option(
        "-l", "--selector", default="", metavar="LABELS", help="Only objects with these labels: app=web,tier!=db."
    )(function)


def output_option(*forms: str) -> Callable[[F], F]:
    """`-o` with some of json, yaml, name, wide."""
    return click.option("-o", "--output", type=click.Choice(forms), help="Another form of output.")


def _complete(ctx: click.Context, kind: str, incomplete: str, prefix: str = "", own: bool = True) -> list[str]:
    """Return the names of a kind's objects; none where no cluster answers, since completion must not disturb."""
    from emulator.api.messages import ListParams
    from emulator.cli.lists import list_all
    from emulator.errors import PodwireError

    session = ctx.find_object(Session) or Session()
    namespace = (ctx.params.get("namespace") or DEFAULT_NAMESPACE) if own else None
    try:
        with session.controller() as client:
            found = list_all(client, ListParams(kind=kind, namespace=namespace), timeout=COMPLETION_TIMEOUT)
    except PodwireError:
        return []
    names = [f"{prefix}{obj['metadata']['name']}" for obj in found.items]
    return [name for name in names if name.startswith(incomplete)]


def complete_namespace(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a namespace."""
    return _complete(ctx, "Namespace", incomplete, own=False)


def _complete_host(ctx: click.Context, incomplete: str) -> list[str]:
    from emulator.api.messages import CONTROLLER_STATUS, Empty
    from emulator.errors import PodwireError

    session = ctx.find_object(Session) or Session()
    try:
        with session.controller() as client:
            hosts = client.call(CONTROLLER_STATUS, Empty(), COMPLETION_TIMEOUT).hosts
    except PodwireError:
        return []
    return [name for host in hosts if (name := f"host/{host.name}").startswith(incomplete)]


def complete_target(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete a pod's name, `node/NAME` or `host/NAME`."""
    if incomplete.startswith("host/"):
        return _complete_host(ctx, incomplete)
    if incomplete.startswith("node/"):
        return _complete(ctx, "Node", incomplete, "node/", own=False)
    prefix = "pod/" if incomplete.startswith("pod/") else ""
    others = [word for word in ("node/", "host/") if word.startswith(incomplete)]
    return _complete(ctx, "Pod", incomplete, prefix) + others


def complete_destination(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete what a packet may be sent to: a Service or a target."""
    return _complete(ctx, "Service", incomplete) + complete_target(ctx, parameter, incomplete)


def complete_resource(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete a kind, then the names of its objects."""
    from emulator.api.kinds import KINDS, find_kind

    words: Sequence[str] = ctx.params.get(parameter.name or "") or ()
    if "/" in incomplete:
        kind = find_kind(incomplete.partition("/")[0])
        prefix = f"{incomplete.partition('/')[0]}/"
        return [] if kind is None else _complete(ctx, kind.key, incomplete, prefix, kind.namespaced)
    if words:
        kind = find_kind(words[0])
        return [] if kind is None else _complete(ctx, kind.key, incomplete, own=kind.namespaced)
    return sorted({kind.plural for kind in KINDS if kind.plural.startswith(incomplete)})
