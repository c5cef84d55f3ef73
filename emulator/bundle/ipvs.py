"""ipvsadm-save.txt: the virtual services and their real servers, as `ipvsadm-save -n` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.error import IpvsRunError

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems
    from emulator.kernel.netns import Netns

FILE = "ipvsadm-save.txt"
_CONNTRACK = "net.ipv4.vs.conntrack"


def load_ipvs(netns: Netns, files: Files, problems: Problems) -> None:
    """Make the services; what is wrong with them is told with the line."""
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
    problems.note(
        f"{FILE}: which real servers connections have is not in it: packets that open none pass IPVS by, as those of "
        "connections that it does not know"
    )
