"""Whom a container runs as, which its sockets then belong to (`-m owner`)."""

from __future__ import annotations

from emulator.api.objects.container import Container
from emulator.api.objects.pod import Pod
from emulator.kernel.owner import Owner


def owner_of(pod: Pod, container: Container) -> Owner:
    """Return the user and groups that a container runs as: what its pod says holds where it says nothing; root else."""
    own, shared = container.security_context, pod.spec.security_context
    user = own.run_as_user if own.run_as_user is not None else shared.run_as_user
    group = own.run_as_group if own.run_as_group is not None else shared.run_as_group
    groups = (*shared.supplemental_groups, *(() if shared.fs_group is None else (shared.fs_group,)))
    return Owner(user or 0, group or 0, groups)
