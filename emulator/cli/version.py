"""`emulator version`: the versions of this command and of the cluster that runs."""

from __future__ import annotations

import click

import emulator
from emulator.api.messages import PROTOCOL_VERSION, VERSION, Empty, VersionResult, plain
from emulator.cli.command import command, pass_session
from emulator.cli.options import output_option
from emulator.cli.output import print_json
from emulator.cli.session import Session

EXAMPLES = """
emulator version
emulator version --client
emulator version -o json
"""


@command("version", examples=EXAMPLES)
@click.option("--client", "client_only", is_flag=True, help="Do not ask the cluster.")
@output_option("json")
@pass_session
def version(session: Session, client_only: bool, output: str | None) -> None:
    """Print the versions of this command and of the cluster that runs, if one does."""
    server = None if client_only else _ask(session)
    if output == "json":
        own = {"version": emulator.__version__, "protocol": PROTOCOL_VERSION}
        print_json({"client": own, "controller": None if server is None else plain(server)})
        return
    click.echo(f"client: podwire {emulator.__version__}, control protocol {PROTOCOL_VERSION}")
    if server is not None:
        click.echo(f"cluster {server.name}: podwire {server.version}, control protocol {server.protocol}")


def _ask(session: Session) -> VersionResult | None:
    """Ask the controller of the cluster that is meant; None where none runs and none was named."""
    from emulator.runtime.state_directory import StateDirectoryError

    try:
        with session.controller() as client:
            return client.call(VERSION, Empty())
    except StateDirectoryError:
        if session.cluster or session.state_dir:
            raise
        return None
