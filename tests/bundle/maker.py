"""Writes small bundles, as the standard tools print a node's state, and capture files to put through them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from emulator.bundle.inputs import Source, read_inputs
from emulator.bundle.problem import Problems
from emulator.bundle.replay import Options, Replay
from emulator.bundle.row import Row
from emulator.packet.address import ipv4_to_int
from emulator.packet.checksum import checksum
from emulator.packet.pcap import pcap_header, pcap_record
from tests.kernel.frames import ethernet, ipv4, udp

START = 1_700_000_000_000_000_000
MACS = {"eth0": "02:00:00:00:00:01", "eth1": "02:00:00:00:00:02", "cbr0": "02:00:00:00:00:03"}
PEER = "02:aa:00:00:00:02"

Json = dict[str, Any]


def address(text: str, **more: Any) -> Json:
    """One entry of addr_info: `10.0.1.1/24`."""
    local, _, length = text.partition("/")
    return {"family": "inet", "local": local, "prefixlen": int(length or 32), "scope": "global", **more}


def link(name: str, mac: str = "", *addresses: str, kind: str = "", index: int = 0, **more: Any) -> Json:
    """One link that is up, as `ip -j -d addr` prints it."""
    found: Json = {
        "ifindex": index,
        "ifname": name,
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "mtu": 1500,
        "operstate": "UP",
        "link_type": "ether",
        "address": mac or MACS[name],
        "broadcast": "ff:ff:ff:ff:ff:ff",
        "addr_info": [address(text) for text in addresses],
    }
    if kind:
        found["linkinfo"] = {"info_kind": kind}
    return {**found, **more}


def loopback() -> Json:
    """`lo`."""
    return {
        "ifindex": 1, "ifname": "lo", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "mtu": 65536, "link_type": "loopback",
        "address": "00:00:00:00:00:00", "addr_info": [address("127.0.0.1/8", scope="host", label="lo")],
    }  # fmt: skip


def port(master: str, **data: Any) -> Json:
    """What makes a link a bridge's port: merge it into the link."""
    return {
        "master": master,
        "linkinfo": {
            "info_kind": "veth", "info_slave_kind": "bridge", "info_slave_data": {"state": "forwarding", **data},
        },
    }  # fmt: skip


def neighbour(address: str, dev: str, mac: str = PEER, state: str = "REACHABLE") -> Json:
    """One entry of `ip -j neigh`."""
    return {"dst": address, "dev": dev, "lladdr": mac, "state": [state]}


ROUTER = [loopback(), link("eth0", "", "10.0.1.1/24"), link("eth1", "", "10.0.2.1/24")]
ROUTER_NEIGHBOURS = [neighbour(f"10.0.{number}.{host}", f"eth{number - 1}") for number in (1, 2) for host in (2, 3)]
FORWARDING = "net.ipv4.ip_forward = 1\n"


@dataclass
class Made:
    """A bundle's directory."""

    path: Path
    captures: int = field(default=0)

    def write(self, name: str, content: object) -> None:
        """Add or change a file: text as it is, anything else as JSON."""
        text = content if isinstance(content, str) else json.dumps(content)
        (self.path / name).write_text(text)

    def capture(self, packets: Iterable[bytes | tuple[float, bytes]], *, linktype: int = 1) -> str:
        """Write a capture file and return its path: packets a second apart, or each with its time after the start."""
        text = pcap_header(linktype)
        for number, each in enumerate(packets):
            seconds, data = each if isinstance(each, tuple) else (float(number), each)
            text += pcap_record(START + round(seconds * 1e9), data)
        self.captures += 1
        path = self.path / f"capture{self.captures}.pcap"
        path.write_bytes(text)
        return str(path)

    def prepare(self, *sources: Source, **options: Any) -> Replay:
        """Read captures and bundle."""
        problems = Problems()
        arrivals = read_inputs(sources, problems)
        problems.check()
        return Replay(self.path, arrivals, [source.link for source in sources], Random(1), Options(**options))

    def replay(self, frames: Iterable[bytes | tuple[float, bytes]], name: str = "eth0", **options: Any) -> list[Row]:
        """Put frames in at one link and return the rows."""
        linktype = options.pop("linktype", 1)
        run = self.prepare(Source(name, self.capture(frames, linktype=linktype)), **options)
        rows = list(run.rows())
        assert not run.faults, rows
        return rows


def make(path: Path, **files: object) -> Made:
    """Make a bundle; `links=[...]` is links.json, `iptables_save="..."` is iptables-save.txt, and so on."""
    made = Made(path)
    for name, content in files.items():
        suffix = "txt" if isinstance(content, str) else "json"
        made.write(f"{name.replace('_', '-')}.{suffix}", content)
    return made


def router(path: Path, iptables: str = "", **files: object) -> Made:
    """Make the bundle of a router of 10.0.1.0/24 on eth0 and 10.0.2.0/24 on eth1, with hosts .2 and .3 on each."""
    state: dict[str, object] = {"links": ROUTER, "neigh": ROUTER_NEIGHBOURS, "sysctl": FORWARDING, **files}
    if iptables:
        state["iptables_save"] = iptables
    return make(path, **state)


def tcp(source: str, destination: str, sport: int, dport: int, flags: int = 2, *, sequence: int = 1,
        acknowledgment: int = 0, payload: bytes = b"") -> bytes:  # fmt: skip
    """Build a TCP segment with a right checksum."""
    segment = bytearray(struct.pack("!HHIIBBHHH", sport, dport, sequence, acknowledgment, 0x50, flags, 1000, 0, 0))
    segment += payload
    pseudo = ipv4_to_int(source) + ipv4_to_int(destination) + 6 + len(segment)
    segment[16:18] = checksum(segment, pseudo).to_bytes(2, "big")
    return bytes(segment)


def udp_frame(source: str, destination: str, dport: int = 53, *, sport: int = 4000, mac: str = MACS["eth0"],
              payload: bytes = b"x", **fields: Any) -> bytes:  # fmt: skip
    """Build a frame with a UDP datagram, to the router's eth0 if nothing else is said."""
    packet = ipv4(source, destination, 17, udp(source, destination, sport, dport, payload), **fields)
    return ethernet(mac, PEER, packet)


def tcp_frame(source: str, destination: str, dport: int, flags: int = 2, *, sport: int = 4000,
              mac: str = MACS["eth0"], **fields: Any) -> bytes:  # fmt: skip
    """Build a frame with a TCP segment."""
    return ethernet(mac, PEER, ipv4(source, destination, 6, tcp(source, destination, sport, dport, flags, **fields)))
