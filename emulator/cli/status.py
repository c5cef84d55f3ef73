"""`emulator status`: what runs, what of it is ready, and why the rest is not."""

from __future__ import annotations

import click

from emulator.api.messages import (
    CONTROLLER_STATUS,
    SUPERVISOR_STATUS,
    ClusterOverview,
    ControlError,
    Empty,
    ErrorCode,
    ListParams,
    Object,
    plain,
)
from emulator.cli.command import command, pass_session
from emulator.cli.exit_status import FAILED, OK
from emulator.cli.lists import list_all
from emulator.cli.options import output_option
from emulator.cli.output import print_json, print_lines
from emulator.cli.session import Session
from emulator.cli.status_page import Snapshot, page

EXAMPLES = """
emulator status
emulator status -o json
emulator status --check
"""


@command("status", examples=EXAMPLES)
@output_option("json")
@click.option("--check", is_flag=True, help="Exit with 1 unless everything is ready.")
@pass_session
def status(session: Session, output: str | None, check: bool) -> int:
    """Show what runs: nodes, Services, pods, and what is not ready and why."""
    snapshot = read_snapshot(session)
    if output == "json":
        overview = snapshot.overview
        print_json(
            {
                "overview": plain(overview) if overview is not None else None,
                "supervisor": plain(snapshot.supervisor),
            }
        )
    else:
        print_lines(page(snapshot))
    ready = snapshot.overview is not None and snapshot.overview.ready
    return FAILED if check and not ready else OK


def read_snapshot(session: Session) -> Snapshot:
    """Ask the supervisor and the controller. Raises ControlError where the supervisor does not answer."""
    with session.supervisor() as client:
        processes = client.call(SUPERVISOR_STATUS, Empty())
    overview, pods = _ask_controller(session)
    return Snapshot(overview, pods, processes, session.program)


def _ask_controller(session: Session) -> tuple[ClusterOverview | None, list[Object]]:
    """Return the controller's view; None while it is away, which is no reason to show nothing."""
    try:
        with session.controller() as client:
            return client.call(CONTROLLER_STATUS, Empty()), list_all(client, ListParams(kind="Pod")).items
    except ControlError as error:
        if error.code is not ErrorCode.UNAVAILABLE:
            raise
        return None, []
