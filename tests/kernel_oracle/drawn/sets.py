"""Draws the sets of a case as lines of `ipset restore`. Each has an `initval`, so that both sides lay it out alike."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.kernel_oracle.drawn.topology import CLIENT_PORTS, FAR, SERVER_PORTS, VIPS, Topology

_TYPES = ("hash:ip", "hash:net", "hash:ip,port", "hash:ip,port,ip", "hash:ip,port,net", "hash:net,port", "bitmap:port")


@dataclass(frozen=True)
class DrawnSet:
    """A set that rules may name; `dimension` is how many of `src` and `dst` it wants."""

    name: str
    dimension: int


def draw_sets(r: random.Random, topology: Topology, chance: float) -> tuple[tuple[str, ...], tuple[DrawnSet, ...]]:
    """Return the lines of up to four sets, and what rules must know of them."""
    if r.random() >= chance:
        return (), ()
    lines: list[str] = []
    sets: list[DrawnSet] = []
    for number in range(r.randint(1, 3)):
        kind = r.choice(_TYPES)
        name = f"S{number}"
        options = [] if kind == "bitmap:port" else ["initval 0x1234"]
        options += ["range 0-5000"] if kind == "bitmap:port" else []
        options += ["counters"] if r.random() < 0.6 else []
        timeout = r.random() < 0.3
        options += ["timeout 600"] if timeout else []
        lines.append(f"create {name} {kind} {' '.join(options)}")
        elements = dict.fromkeys(_element(r, topology, kind) for _ in range(r.randint(0, 5)))
        lines += [f"add {name} {element}" for element in elements]
        sets.append(DrawnSet(name, kind.count(",") + 1))
    if r.random() < 0.2 and len(sets) > 1:
        lines.append("create L0 list:set size 8")
        lines += [f"add L0 {each.name}" for each in r.sample(sets, r.randint(1, len(sets)))]
        sets.append(DrawnSet("L0", r.randint(1, 3)))
    return tuple(lines), tuple(sets)


def _element(r: random.Random, topology: Topology, kind: str) -> str:
    if kind == "bitmap:port":
        return str(r.choice((*SERVER_PORTS, *CLIENT_PORTS)))
    parts = kind.removeprefix("hash:").split(",")
    words = [_part(r, topology, part) for part in parts]
    nomatch = " nomatch" if "net" in parts and r.random() < 0.2 else ""
    return ",".join(words) + nomatch


def _part(r: random.Random, topology: Topology, part: str) -> str:
    if part == "port":
        protocol = r.choice(("tcp:", "udp:", "tcp:", "udp:", "", "icmp:"))
        return protocol + ("8/0" if protocol == "icmp:" else str(r.choice((*SERVER_PORTS, *CLIENT_PORTS))))
    if part == "net":
        networks = ("10.0.1.0/28", "10.0.0.0/8", "10.0.2.0/30", "10.0.4.0/24", "10.96.0.0/12")
        return r.choice((*networks, *(f"{host}/32" for host in topology.hosts)))
    return r.choice((*topology.hosts, *topology.hosts, *topology.own_addresses, *VIPS, *FAR))
