"""What the modes of kube-proxy have in common: service ports and endpoints in, texts for a node's own tools out.

A mode never touches a kernel. What it wants done is `Writes`, which `apply_writes` hands to the tools of a namespace;
`emulator proxy render` prints it instead.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from emulator.kube.proxy.tracker import ServiceTracker


class Writes(Struct, frozen=True, kw_only=True):
    """What one sync does to a node, in this order; an empty text is nothing to do.

    `sysctls`: names and values. `dummy`: the dummy link that the addresses are of, to be made if it is not there; its
    state stays down, as kube-proxy leaves it. `add_addresses` and `remove_addresses`: IPv4 addresses (/32) of that
    link. `ipset`: for `ipset -exist restore`. `ipvsadm`: lines as `ipvsadm` takes them, each one command (`-A`, `-E`,
    `-D`, `-a`, `-e`, `-d`, `-C`, `--set`). `iptables`: for `iptables-restore --noflush`. `nft`: for `nft -f -`.
    `destroy_sets`: names of ipsets, which no rule looks in by then. `remove_dummy`: the dummy link goes. `canaries` are
    not written: table and name of chains from now on there, whose end tells that somebody flushed the node's rules.
    """

    sysctls: tuple[tuple[str, int], ...] = ()
    dummy: str = ""
    add_addresses: tuple[str, ...] = ()
    ipset: str = ""
    ipvsadm: str = ""
    iptables: str = ""
    nft: str = ""
    remove_addresses: tuple[str, ...] = ()
    destroy_sets: tuple[str, ...] = ()
    remove_dummy: bool = False
    canaries: tuple[tuple[str, str], ...] = ()


class Proxier(Protocol):
    """One mode of kube-proxy on one node. It remembers what it wrote."""

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        """Return what brings the node up to date with `services` at `now` (seconds of the machine's clock).

        The first sync writes everything; later ones what `services.take_changes()` names, and what is due by now.
        """

    def next_sync(self) -> float | None:
        """Return when the proxier wants to be asked again even if nothing changes; None: not by itself."""

    def forget(self) -> None:
        """Write everything with the next sync, because somebody flushed the node's rules or a write failed."""

    def cleanup(self) -> Writes:
        """Return what takes away all that this mode ever writes (`kube-proxy --cleanup`)."""
