"""What a command of `emulator exec`, a probe or a hook sees of the container that it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from emulator.apps.filesystem import Files
from emulator.kernel.owner import ROOT, Owner

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Inside(NamedTuple):
    """Variables, files, and the folder that a command starts in. Without `files` there are the network's own.

    `owner`: whom it runs as, which its sockets then belong to.
    """

    environ: Mapping[str, str]
    files: Files | None = None
    directory: str = "/"
    owner: Owner = ROOT


def of_host(name: str) -> Inside:
    """Return what a command sees on a node, or on a host outside."""
    return Inside({"PATH": PATH, "HOME": "/root", "HOSTNAME": name})
