"""ipvsadm-save.txt and ipvs-connections.txt: virtual services with their real servers, and who has which of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.entry_text import IpvsEntryError, load_entries
from emulator.kernel.netfilter.ipvs.error import IpvsRunError

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems
    from emulator.kernel.netns import Netns

FILE, CONNECTIONS = "ipvsadm-save.txt", "ipvs-connections.txt"
_CONNTRACK = "net.ipv4.vs.conntrack"


def load_ipvs(netns: Netns, files: Files, problems: Problems) -> None:
    """Make the services, then their connections; what is wrong with them is told with the line."""
    text = files.text(FILE)
    if not (text or "").strip():
        return
    if _CONNTRACK not in (files.text("sysctl.txt") or ""):
        netns.sysctl.set(_CONNTRACK, 1)
        problems.note(f"sysctl.txt does not have {_CONNTRACK}: it is taken to be 1, as kube-proxy sets it")
    try:
        netns.netfilter.ipvs.run(text or "")
    except IpvsRunError as error:
        problems.add(f"{FILE}: line {error.line}", error.message)
        return
    entries = files.text(CONNECTIONS)
    if entries is None:
        problems.note(
            f"not there: {CONNECTIONS} (no connections of IPVS: packets of those that are under way pass it by)"
        )
        return
    try:
        load_entries(netns.netfilter.ipvs, entries)
    except IpvsEntryError as error:
        problems.add(f"{CONNECTIONS}: line {error.line}", error.message)
