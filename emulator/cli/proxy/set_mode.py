"""`emulator proxy set-mode`: another mode of kube-proxy for a cluster that runs, on all of its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from emulator.api.cluster_file import AVAILABLE, PROXY_MODES
from emulator.cli.command import command, pass_session
from emulator.cli.exit_status import FAILED, OK
from emulator.cli.output import note
from emulator.cli.session import Session

if TYPE_CHECKING:
    from emulator.api.messages import Empty, ProxySync
    from emulator.cli.client import Client, Exchange

EXAMPLES = """
emulator proxy set-mode nftables
emulator proxy set-mode iptables --no-wait
"""
_CHANGED_WITHIN = 60.0  # seconds that a node has: with ten thousand Services a first sync takes some


@command("set-mode", examples=EXAMPLES)
@click.argument("mode", metavar="MODE", type=click.Choice([mode for mode in PROXY_MODES if mode in AVAILABLE]))
@click.option("--wait/--no-wait", default=True, show_default=True, help="Return when every node has its new rules.")
@pass_session
def set_mode(session: Session, mode: str, wait: bool) -> int:
    """Change the mode of kube-proxy on all nodes, live.

    Each node takes the rules of its old mode away and loads those of the new one; no packet is handled in between.
    Connections go on where they do on Linux: what iptables or nftables has rewritten stays so until it ends. The mode
    is kept in the ConfigMap kube-proxy of kube-system, and outlives a restart of the controller or of a node.
    """
    with ExitStack() as stack:
        controller = stack.enter_context(session.controller())
        _configure(controller, mode)
        waiting = dict(_watch(session, controller, stack)) if wait else {}
        late = [name for name, exchange in waiting.items() if not _arrives(exchange, mode)]
    for name in late:
        note(f"node {name} has not said that it runs {mode}; see its log: {session.directory.log(name)}")
    click.echo(f"kube-proxy is {'to run' if late or not wait else 'running'} in {mode} mode")
    return FAILED if late else OK


def _configure(controller: Client, mode: str) -> None:
    from emulator.api.messages import (
        CREATE,
        GET,
        REPLACE,
        ControlError,
        CreateParams,
        ErrorCode,
        GetParams,
        ReplaceParams,
    )
    from emulator.kube.proxy import configuration

    asked = GetParams(kind="ConfigMap", namespace=configuration.NAMESPACE, name=configuration.NAME)
    try:
        found = controller.call(GET, asked).object
    except ControlError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        controller.call(CREATE, CreateParams(object=configuration.config_map(mode)))
        return
    controller.call(REPLACE, ReplaceParams(object=configuration.with_mode(found, mode)))


def _watch(session: Session, controller: Client, stack: ExitStack) -> Iterator[tuple[str, Exchange[ProxySync, Empty]]]:
    """Open a watch of the syncs of each node. Nodes that cannot be reached are told."""
    from emulator.api.messages import PROXY_WATCH, ControlError, Empty, ListParams
    from emulator.cli.lists import list_all

    nodes = list_all(controller, ListParams(kind="Node")).items
    for name in sorted(str(node["metadata"]["name"]) for node in nodes):
        try:
            yield name, stack.enter_context(session.node(name)).open(PROXY_WATCH, Empty())
        except ControlError as error:
            note(f"node {name} changes when it is back: {error.message}")


def _arrives(exchange: Exchange[ProxySync, Empty], mode: str) -> bool:
    """Wait until a node has synced in the mode."""
    from emulator.api.messages import ControlError

    try:
        while not any(report.mode == mode for report in exchange.receive(_CHANGED_WITHIN)):
            continue
    except ControlError:
        return False
    return True
