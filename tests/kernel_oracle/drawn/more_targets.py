"""Draws the rarer targets, as `targets.py` does the common ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kernel_oracle.drawn.matches import Place

_SENDING = {"FORWARD", "OUTPUT", "POSTROUTING"}


def header(place: Place) -> str:
    """Targets of the mangle table that write to the IP header: TOS, DSCP, TTL, ECN."""
    if place.table != "mangle":
        return ""
    words = (
        "-j TOS --set-tos 0x10", "-j TOS --set-tos 3/0x0f", "-j TOS --xor-tos 0xff", "-j TOS --and-tos 0xf0",
        "-j DSCP --set-dscp 0x2e", "-j DSCP --set-dscp-class CS1", "-j ECN --ecn-ip-ect 2",
    )  # fmt: skip
    if not place.hooks <= {"PREROUTING", "INPUT", "FORWARD"}:
        return place.one(words)  # by their TTL packets of the machine's own are told
    words += (
        "-j TTL --ttl-set 1", "-j TTL --ttl-set 64", "-j TTL --ttl-inc 1", "-j TTL --ttl-inc 200",
        "-j TTL --ttl-dec 1", "-j TTL --ttl-dec 62", "-j TTL --ttl-set 0",
    )  # fmt: skip
    return place.one(words)


def tcp_header(place: Place) -> str:
    """Targets of the mangle table that write to the TCP header: ECN, TCPOPTSTRIP."""
    if place.table != "mangle" or place.protocol != "tcp":
        return ""
    words = (
        "-j ECN --ecn-tcp-remove", "-j ECN --ecn-tcp-cwr 1", "-j ECN --ecn-tcp-ece 1 --ecn-ip-ect 0",
        "-j TCPOPTSTRIP --strip-options mss", "-j TCPOPTSTRIP --strip-options wscale,timestamp",
        "-j TCPOPTSTRIP --strip-options sack-permitted,8,254",
    )  # fmt: skip
    return place.one(words)


def nfqueue(place: Place) -> str:
    """`-j NFQUEUE`, to which nobody listens."""
    words = (" --queue-bypass", " --queue-bypass", " --queue-num 5 --queue-bypass", "", " --queue-balance 0:3")
    return f"-j NFQUEUE{place.one(words)}"


def hmark(place: Place) -> str:
    """`-j HMARK`."""
    words = (
        "--hmark-tuple src,dst", "--hmark-tuple src,dst,sport,dport,proto", "--hmark-tuple ct,src,dst,sport,dport",
        "--hmark-src-prefix 24 --hmark-sport 80", "--hmark-tuple dport --hmark-sport-mask 0xff", "--hmark-tuple proto",
    )  # fmt: skip
    r = place.random
    offset = f" --hmark-offset {r.choice((1, 0x4000))}" if place.chance(0.5) else ""
    return f"-j HMARK {place.one(words)} --hmark-mod {r.randint(1, 4)} --hmark-rnd {r.getrandbits(32)}{offset}"


def tee(place: Place) -> str:
    """`-j TEE` to a host, of what is forwarded: copies of what the machine sends have numbers that it draws."""
    if not place.hooks <= {"FORWARD"}:
        return ""
    link = f" --oif {place.one(place.topology.link_names)}" if place.chance(0.3) else ""
    return f"-j TEE --gateway {place.random.choice(place.topology.hosts)}{link}"


def tproxy(place: Place) -> str:
    """`-j TPROXY`, for which there is no socket."""
    if place.table != "mangle" or place.hooks != {"PREROUTING"} or place.protocol not in ("tcp", "udp"):
        return ""
    return f"-j TPROXY --on-port {place.one(('15001', '53', '0'))} --tproxy-mark 0x1/0x1"


def without_effect(place: Place) -> str:
    """Targets that nothing on the wire tells of: CLASSIFY, AUDIT, CONNSECMARK."""
    words = ["-j AUDIT --type accept"]
    if place.hooks <= _SENDING:
        words.append("-j CLASSIFY --set-class 1:10")
    if place.table in ("mangle", "security"):
        words.append("-j CONNSECMARK --save")
    return place.one(tuple(words))


MORE_TARGETS: dict[str, tuple[float, Callable[[Place], str]]] = {
    "header": (2, header),
    "tcp_header": (1, tcp_header),
    "NFQUEUE": (0.7, nfqueue),
    "HMARK": (0.7, hmark),
    "TEE": (0.7, tee),
    "TPROXY": (0.4, tproxy),
    "without_effect": (0.3, without_effect),
}
