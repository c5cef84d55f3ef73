"""`emulator tui`: starts the terminal interface on a running cluster."""

from __future__ import annotations

import sys

from emulator.cli.command import command, pass_session
from emulator.cli.session import Session
from emulator.errors import PodwireError

EXAMPLES = """
emulator tui
emulator tui --cluster 3node
"""


@command("tui", examples=EXAMPLES)
@pass_session
def tui(session: Session) -> int:
    """Watch the cluster: live flows, nodes, pods, Services. The cluster runs on when it is left."""
    directory = session.directory
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PodwireError("the terminal interface needs a terminal; for scripts there is: emulator get -o json")
    from tui.app import run

    return run(directory.path)
