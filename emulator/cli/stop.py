"""`emulator stop`: asks the supervisor to end its cluster; one that does not answer is ended by signals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from emulator.api.messages import STOP, ControlError, Empty
from emulator.cli.client import Client
from emulator.cli.command import command, pass_session
from emulator.cli.exit_status import OK
from emulator.cli.holders import end_holders, holders, is_left_over, remove_leftovers, watched
from emulator.cli.options import output_option
from emulator.cli.session import SUPERVISOR, Session
from emulator.runtime.state_directory import (
    StateDirectory,
    StateDirectoryError,
    clusters_directory,
    find,
    locate,
)

EXAMPLES = """
emulator stop
emulator stop --cluster 3node
emulator stop --all
"""

PATIENCE = 20.0
"""Seconds that a cluster has to end by itself."""


@command("stop", examples=EXAMPLES)
@click.option("--all", "every", is_flag=True, help="All clusters of this user.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=PATIENCE, show_default=True, help="Seconds before signals."
)
@output_option("json")
@pass_session
def stop(session: Session, every: bool, timeout: float, output: str | None) -> int:
    """End a cluster: all of its processes, sockets and files.

    It needs nothing but the state directory, so it works also where the cluster file has changed since.
    """
    directories = _held() if every else [_one(session)]
    for directory in directories:
        forced = not _ask(directory, timeout)
        if forced:
            end_holders(directory)
        else:
            remove_leftovers(directory)
        word = "was ended by signals" if forced else "has ended"
        line = json.dumps({"cluster": directory.name, "forced": forced})
        click.echo(line if output == "json" else f'cluster "{directory.name}" {word}')
    if not directories:
        click.echo("no cluster is running", err=True)
    return OK


def _one(session: Session) -> StateDirectory:
    """Return the cluster that is meant. One whose supervisor is stuck counts, as long as it holds its directory."""
    if session.state_dir or session.cluster:
        directory = locate(session.cluster or Path(session.state_dir or "").name, session.state_dir)
        if holders(directory) or is_left_over(directory):
            return directory.checked(session.cluster)
        return find(session.cluster, session.state_dir)
    held = _held()
    if len(held) == 1:
        return held[0]
    if held:
        names = ", ".join(directory.name for directory in held)
        raise StateDirectoryError(f"several clusters run ({names}); choose one with --cluster NAME, or --all")
    return find()


def _held() -> list[StateDirectory]:
    """Return the clusters at the default place that some process holds, or that were killed and left files."""
    root = clusters_directory(os.environ)
    if not root.is_dir():
        return []
    every = [StateDirectory(path, path.name) for path in sorted(root.iterdir()) if path.is_dir()]
    return [directory for directory in every if holders(directory) or is_left_over(directory)]


def _ask(directory: StateDirectory, timeout: float) -> bool:
    """Ask the supervisor to end everything; whether it did so in time, itself included."""
    first = directory.holder().pid
    with watched(first if first in holders(directory) else 0) as supervisor:
        try:
            with Client(directory.socket(SUPERVISOR), SUPERVISOR) as client:
                client.call(STOP, Empty(), timeout)
                client.wait_closed(timeout)
        except ControlError:
            pass  # it is stuck or ends just now: what is left of it decides
        return not holders(directory) and supervisor.wait(timeout)
