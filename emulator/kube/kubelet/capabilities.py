"""What a node can run of a pod: its programs stand in for images, and there is no shell."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from emulator.api.objects.container import Container, Probe


class Capabilities(Struct, frozen=True):
    """What is asked before a pod's containers are run.

    A probe that cannot run counts as passed, an init container that cannot run as completed; conditions say so.
    """

    runs_probe: Callable[[Container, Probe], bool]
    runs_init: Callable[[Container], bool]


EVERYTHING = Capabilities(lambda _container, _probe: True, lambda _container: True)
