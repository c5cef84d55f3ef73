"""Draws the target of a rule: one function a target, chosen by weight among those that its table and hooks allow."""

from __future__ import annotations

from collections.abc import Callable

from tests.kernel_oracle.drawn.matches import Place
from tests.kernel_oracle.drawn.more_targets import MORE_TARGETS
from tests.kernel_oracle.drawn.topology import FAR, SERVER_PORTS

_SOURCE_HOOKS = {"POSTROUTING", "INPUT"}
_TARGET_HOOKS = {"PREROUTING", "OUTPUT"}
_REJECTS = (
    "icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
    "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited",
)  # fmt: skip
_MARK_WORDS = (
    "--set-mark 1", "--set-xmark 0x4000/0x4000", "--or-mark 2", "--and-mark 0x4000", "--xor-mark 1", "--set-mark 2/3",
)  # fmt: skip


def reject(place: Place) -> str:
    """`-j REJECT`."""
    if place.table != "filter":
        return ""
    if place.protocol == "tcp" and place.chance(0.5):
        return "-j REJECT --reject-with tcp-reset"
    return f"-j REJECT --reject-with {place.one(_REJECTS)}" if place.chance(0.6) else "-j REJECT"


def mark(place: Place) -> str:
    """`-j MARK`."""
    return f"-j MARK {place.one(_MARK_WORDS)}"


def connmark(place: Place) -> str:
    """`-j CONNMARK`."""
    words = (
        *_MARK_WORDS,
        "--save-mark",
        "--restore-mark",
        "--save-mark --nfmask 0x3 --ctmask 0x4003",
        "--restore-mark --mask 0x3",
    )
    return f"-j CONNMARK {place.one(words)}"


def tcpmss(place: Place) -> str:
    """`-j TCPMSS`, which wants a SYN."""
    if place.protocol != "tcp" or place.tested or place.table != "mangle":
        return ""
    clamp = place.hooks <= {"FORWARD", "OUTPUT", "POSTROUTING"} and place.chance(0.5)
    words = "--clamp-mss-to-pmtu" if clamp else f"--set-mss {place.one(('500', '1000', '1400'))}"
    return f"-m tcp --tcp-flags SYN,RST SYN -j TCPMSS {words}"


def log(place: Place) -> str:
    """`-j LOG`: says nothing on the wire, but goes on with the next rule."""
    return "-j LOG --log-prefix x" if place.chance(0.5) else "-j LOG"


def checksum(place: Place) -> str:
    """`-j CHECKSUM`, in the mangle table."""
    return "-j CHECKSUM --checksum-fill" if place.table == "mangle" else ""


def notrack(place: Place) -> str:
    """`-j CT` and `-j NOTRACK`, in the raw table."""
    if place.table != "raw":
        return ""
    return place.one(("-j CT --notrack", "-j NOTRACK", "-j CT --zone 5", "-j CT --notrack"))


def dnat(place: Place) -> str:
    """`-j DNAT` and `-j REDIRECT`."""
    if place.table != "nat" or not place.hooks <= _TARGET_HOOKS:
        return ""
    ports = place.protocol in ("tcp", "udp", "sctp")
    if place.chance(0.15):
        return f"-j REDIRECT --to-ports {place.one(('80', '81', '53'))}" if ports else "-j REDIRECT"
    r = place.random
    address = r.choice((*place.topology.hosts, *place.topology.hosts, *place.topology.own_addresses, *FAR))
    if place.chance(0.1):
        address = place.one(("10.0.1.2-10.0.1.4", "10.0.2.2-10.0.2.3", "10.0.4.2-10.0.4.5"))
    if ports and place.chance(0.6):
        port = place.one((*(str(port) for port in SERVER_PORTS), "8080", "8080-8082", "53-55", "100-102/100"))
        address = place.one((f"{address}:{port}", f"{address}:{port}", f":{port}"))
    words = " --persistent" if place.chance(0.1) else ""
    return f"-j DNAT --to-destination {address}{words}"


def snat(place: Place) -> str:
    """`-j SNAT` and `-j MASQUERADE`."""
    if place.table != "nat" or not place.hooks <= _SOURCE_HOOKS:
        return ""
    ports = place.protocol in ("tcp", "udp", "sctp")
    span = place.one(("", "", "4000", "4000-4001", "1024-1030", "80-81")) if ports else ""
    words = place.one(("", "", "", "", " --random", " --random-fully"))
    if place.hooks == {"POSTROUTING"} and place.chance(0.5):
        return f"-j MASQUERADE{f' --to-ports {span}' if span else ''}{words}"
    address = place.random.choice(
        (*place.topology.own_addresses, *place.topology.hosts, "10.0.2.1", "10.0.1.2-10.0.1.4")
    )
    words += " --persistent" if place.chance(0.1) else ""
    return f"-j SNAT --to-source {address}{f':{span}' if span else ''}{words}"


def change_set(place: Place) -> str:
    """`-j SET`: adds or takes out what the packet says, with a timeout where the set has them."""
    if not place.sets:
        return ""
    chosen = place.random.choice(place.sets)
    action = place.one(("add", "add", "del"))
    words = " --exist" if action == "add" and place.chance(0.4) else ""
    return f"-j SET --{action}-set {chosen.name} {place.directions(chosen)}{words}"


def netmap(place: Place) -> str:
    """`-j NETMAP`."""
    if place.table != "nat":
        return ""
    return f"-j NETMAP --to {place.one(('10.0.1.0/28', '10.0.2.0/28', '10.0.3.0/29', '10.0.4.0/28'))}"


def silent(place: Place) -> str:
    """`-j NFLOG` and `-j TRACE`: nothing listens, and the packet goes on."""
    return place.one(("-j NFLOG", "-j NFLOG --nflog-group 3", "-j TRACE" if place.table == "raw" else "-j NFLOG"))


def verdict(place: Place) -> str:
    """A verdict, or RETURN, or nothing: a rule that only counts."""
    if place.table == "nat":
        return place.one(("-j ACCEPT", "-j RETURN", ""))
    if place.table == "filter":
        return place.one(("-j ACCEPT", "-j ACCEPT", "-j DROP", "-j RETURN", ""))
    return place.one(("-j ACCEPT", "-j RETURN", "", "-j RETURN", "-j ACCEPT", "-j DROP"))


TARGETS: dict[str, tuple[float, Callable[[Place], str]]] = {
    "verdict": (6, verdict),
    "REJECT": (1.5, reject),
    "MARK": (2, mark),
    "CONNMARK": (1.5, connmark),
    "TCPMSS": (1.5, tcpmss),
    "LOG": (0.3, log),
    "CHECKSUM": (0.2, checksum),
    "CT": (1.2, notrack),
    "SET": (2.5, change_set),
    "NETMAP": (1, netmap),
    "silent": (0.4, silent),
    "DNAT": (9, dnat),
    "SNAT": (9, snat),
    **MORE_TARGETS,
}


def draw_target(place: Place) -> str:
    """Draw a target that is allowed here; it may bring a test of its own."""
    names = tuple(TARGETS)
    weights = [TARGETS[name][0] for name in names]
    while True:
        words = TARGETS[place.random.choices(names, weights)[0]][1](place)
        if words or place.chance(0.1):
            return words
