"""`emulator start`: checks the cluster file and its manifests as a whole, then runs the cluster's supervisor."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click
import msgspec

from emulator.api.checks.formats import label_1123
from emulator.api.cluster_file import ClusterConfig, read_cluster_file
from emulator.api.messages import Object
from emulator.cli.command import command, pass_session
from emulator.cli.exit_status import INTERRUPTED, OK
from emulator.cli.output import note, print_error, print_json, print_lines
from emulator.cli.session import Session
from emulator.cli.supervise import supervise
from emulator.errors import PodwireError
from emulator.runtime.state_directory import StateDirectory, locate

EXAMPLES = """
emulator start configs/3node.toml
emulator start configs/3node.toml --detach
emulator start configs/3node.toml --detach --name second --seed 7
"""

_LAST_WORDS = 1.0
"""Seconds that the page has to be finished when the cluster ends while it is printed."""


@command("start", examples=EXAMPLES)
@click.argument("config_file", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("-d", "--detach", is_flag=True, help="Return when all is ready; the cluster runs on in the background.")
@click.option("--name", metavar="NAME", help="The cluster's name, in place of the file's.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="The seed, in place of the file's.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="With --detach: return with 1 if not all is ready by then; the cluster runs on.",
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="With --detach: what runs, as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
@pass_session
def start(
    session: Session,
    config_file: Path,
    detach: bool,
    name: str | None,
    seed: int | None,
    timeout: float,
    output: str | None,
    quiet: bool,
) -> int:
    """Start the cluster that the file CONFIG describes, in the foreground: Ctrl-C ends all of it.

    The file and its manifests are checked first, and all of their problems listed; nothing is started if there is one.
    """
    if output and not detach:
        raise click.UsageError("--output needs --detach: in the foreground the command does not return")
    gc.disable()  # until all is imported: it stays, and to look through it again and again takes a tenth of the time
    config = _config(config_file, name or session.cluster, seed)
    objects = _objects(config, quiet=quiet)
    directory = locate(config.name, session.state_dir)
    mine = Session(session.state_dir, name or session.cluster, directory)
    if detach:
        from emulator.cli.detach import run_detached

        status = run_detached(config, objects, directory, timeout, quiet=quiet or output is not None)
        if status == OK and not quiet:
            _print_snapshot(mine, output)
        return status
    return _foreground(config, objects, directory, mine, quiet=quiet)


def _config(path: Path, name: str | None, seed: int | None) -> ClusterConfig:
    config = read_cluster_file(path)
    if name is not None:
        for problem in label_1123(name):
            raise click.BadParameter(f'"{name}": {problem}', param_hint="--name")
        config = msgspec.structs.replace(config, name=name)
    return config if seed is None else msgspec.structs.replace(config, seed=seed)


def _objects(config: ClusterConfig, *, quiet: bool) -> list[Object]:
    """Have the manifests read and checked, and import the supervisor meanwhile. Raises ManifestError."""
    if not config.manifests:
        return []
    from emulator.cli.manifest_check import ManifestCheck

    check = ManifestCheck(config, quiet=quiet)
    try:
        import_module("emulator.runtime.supervisor.supervisor")
    finally:
        checked = check.result()
    for line in checked.notes:
        note(f"note: {line}")
    return checked.objects


def _foreground(
    config: ClusterConfig, objects: Sequence[Object], directory: StateDirectory, session: Session, *, quiet: bool
) -> int:
    # The page is made in a thread of its own: the supervisor must not wait for those that it supervises.
    page_maker = threading.Thread(target=_page_and_hint, args=(session,), daemon=True)
    say = _silent if quiet else _say
    was_ready = supervise(config, objects, directory, say, _nothing if quiet else page_maker.start)
    if page_maker.is_alive():
        page_maker.join(_LAST_WORDS)
    say(f'cluster "{config.name}" has ended')
    return OK if was_ready else INTERRUPTED


def _silent(_line: str) -> None:
    """Say nothing."""


def _nothing() -> None:
    """Do nothing."""


def _say(line: str) -> None:
    try:
        note(line)
    except BrokenPipeError:
        return  # nobody listens any more; the cluster runs on


def _page_and_hint(session: Session) -> None:
    try:
        _print_snapshot(session, None)
        note("\nThe cluster runs until Ctrl-C; use another terminal for the commands above.")
    except BrokenPipeError:
        return  # nobody reads; the cluster runs on
    except PodwireError as error:
        print_error(str(error))


def _print_snapshot(session: Session, output: str | None) -> None:
    from emulator.api.messages import plain
    from emulator.cli.status import read_snapshot
    from emulator.cli.status_page import page

    snapshot = read_snapshot(session)
    if output == "json":
        overview = None if snapshot.overview is None else plain(snapshot.overview)
        print_json({"overview": overview, "supervisor": plain(snapshot.supervisor)})
    else:
        print_lines(page(snapshot))
