"""The manifests of `emulator start`, read and checked by a process of their own while this one imports the supervisor.

YAML and schemas take a tenth of a second, and so do trio and what runs on it. The process is gone afterwards, with all
that it had imported: nobody else carries it.
"""

from __future__ import annotations

import os
import traceback
from typing import NoReturn

import msgspec
from msgspec import Struct

from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import Object
from emulator.errors import ManifestError, PodwireError

_READ_SIZE = 1 << 20


class Checked(Struct, frozen=True):
    """The objects of all manifests, with what is to be said of them; or what is wrong with them."""

    objects: list[Object] = []
    notes: list[str] = []
    problems: list[str] = []


class ManifestCheck:
    """A check under way. `result` is to be called once."""

    def __init__(self, config: ClusterConfig, *, quiet: bool) -> None:
        ours, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ours)
            _answer(config, theirs, quiet=quiet)
        os.close(theirs)
        self._pipe = ours

    def result(self) -> Checked:
        """Wait for it. Raises ManifestError."""
        try:
            data = b"".join(iter(lambda: os.read(self._pipe, _READ_SIZE), b""))
        finally:
            os.close(self._pipe)
            os.waitpid(self._pid, 0)
        if not data:
            raise PodwireError("the process that reads the manifests failed; its last words are above")
        checked = msgspec.msgpack.decode(data, type=Checked)
        if checked.problems:
            raise ManifestError(checked.problems)
        return checked


def check_manifests(config: ClusterConfig, *, quiet: bool) -> Checked:
    """Read the manifests of a cluster file and check them as a whole. Raises ManifestError."""
    from emulator.api.manifest import in_namespace
    from emulator.cli.manifests import FIRST_NAMESPACES, check_places, kept_notes, read_files
    from emulator.cli.stand_ins import stand_in_notes

    items = in_namespace(read_files([str(path) for path in config.manifests]), None)
    if not items:
        raise ManifestError([f"{config.source}: its manifests have no objects"])
    check_places(items, [node.name for node in config.nodes], FIRST_NAMESPACES)
    objects = [item.object for item in items]
    return Checked(objects, [] if quiet else kept_notes(objects) + stand_in_notes(objects))


def _answer(config: ClusterConfig, pipe: int, *, quiet: bool) -> NoReturn:
    """In the fork: check, tell, and never return into the caller's code."""
    try:
        try:
            checked = check_manifests(config, quiet=quiet)
        except ManifestError as error:
            checked = Checked(problems=list(error.problems))
        with open(pipe, "wb") as stream:
            stream.write(msgspec.msgpack.encode(checked))
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # who asked has been interrupted too
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
