"""The portmap plugin: what comes to a host port of the node goes on to the pod that asked for it.

DNAT in PREROUTING and OUTPUT, behind kube-proxy's; what comes from the pods' own network or from the node's loopback is
masqueraded, so that replies come back here. Source: containernetworking/plugins, plugins/meta/portmap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from msgspec import Struct

from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netns import Netns
from emulator.packet.ipv4 import PROTOCOL_UDP

DNAT_CHAIN = "CNI-HOSTPORT-DNAT"
SET_MARK_CHAIN = "CNI-HOSTPORT-SETMARK"
MASQUERADE_CHAIN = "CNI-HOSTPORT-MASQ"
_MARK = "0x2000/0x2000"
_CHAIN_LENGTH = 28  # of iptables' names
_PORTS_A_RULE = 15  # that multiport takes
_ANY = frozenset({"", "0.0.0.0"})

_SHARED = (
    "*nat",
    f":{SET_MARK_CHAIN} - [0:0]",
    f":{MASQUERADE_CHAIN} - [0:0]",
    f":{DNAT_CHAIN} - [0:0]",
    f'-A {SET_MARK_CHAIN} -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {_MARK}',
    f"-A {MASQUERADE_CHAIN} -m mark --mark {_MARK} -j MASQUERADE",
    # The one rule that comes first: masquerading of other plugins would take the packets.
    f'-I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j {MASQUERADE_CHAIN}',
    f"-A PREROUTING -m addrtype --dst-type LOCAL -j {DNAT_CHAIN}",
    f"-A OUTPUT -m addrtype --dst-type LOCAL -j {DNAT_CHAIN}",
    "COMMIT",
)


class PortMapping(Struct, frozen=True):
    """A port of the node, at one of its addresses or at all, and the pod's port that it stands for."""

    protocol: str
    host_port: int
    container_port: int
    host_ip: str = ""


class PortMap:
    """The host ports of one node's pods. `bridge` is where the pods are, `network` (CIDR) theirs, `name` the CNI's."""

    def __init__(self, root: Netns, bridge: str, network: str, name: str) -> None:
        self._root = root
        self._bridge = bridge
        self._network = network
        self._name = name
        self._entries: dict[str, list[str]] = {}

    def add(self, uid: str, address: str, mappings: Sequence[PortMapping]) -> None:
        """Lead the host ports to a pod; UDP connections that were there before would go past it and are forgotten."""
        self._prepare()
        chain = self._chain(uid)
        entries = self._entries[uid] = [*self._entry_rules(uid, chain, mappings)]
        rules = [rule for mapping in mappings for rule in self._rules(chain, address, mapping)]
        self._load(f":{chain} - [0:0]", *rules, *(f"-A {entry}" for entry in entries))
        self._forget_connections(mappings)

    def remove(self, uid: str) -> None:
        """Take a pod's rules away, if there are any left."""
        chain = self._chain(uid)
        for entry in self._entries.pop(uid, ()):
            with suppress(RestoreError):  # the user has done so
                self._load(f"-D {entry}")
        with suppress(RestoreError):
            self._load(f"-F {chain}", f"-X {chain}")

    def _prepare(self) -> None:
        """Make what all pods share, if it is not there."""
        table = self._root.netfilter.tables.get("nat")
        if table is not None and DNAT_CHAIN in table.chains:
            return
        self._root.sysctl.set(f"net.ipv4.conf.{self._bridge}.route_localnet", 1)
        self._root.netfilter.restore("\n".join((*_SHARED, "")), noflush=True)

    def _chain(self, uid: str) -> str:
        digest = hashlib.sha512(f"{self._name}{uid}".encode()).hexdigest()
        return f"CNI-DN-{digest}"[:_CHAIN_LENGTH]

    def _entry_rules(self, uid: str, chain: str, mappings: Iterable[PortMapping]) -> Iterator[str]:
        """Yield the rules, without their command, that lead to a pod's chain."""
        comment = f'dnat name: \\"{self._name}\\" id: \\"{uid}\\"'
        ports: dict[str, dict[int, None]] = {}
        for mapping in mappings:
            ports.setdefault(mapping.protocol.lower(), {})[mapping.host_port] = None
        for protocol in sorted(ports):
            numbers = sorted(ports[protocol])
            for first in range(0, len(numbers), _PORTS_A_RULE):
                listed = ",".join(map(str, numbers[first : first + _PORTS_A_RULE]))
                yield (
                    f'{DNAT_CHAIN} -p {protocol} -m comment --comment "{comment}"'
                    f" -m multiport --dports {listed} -j {chain}"
                )

    def _rules(self, chain: str, address: str, mapping: PortMapping) -> Iterator[str]:
        where = "" if mapping.host_ip in _ANY else f" -d {mapping.host_ip}/32"
        protocol = mapping.protocol.lower()
        what = f"-p {protocol} -m {protocol} --dport {mapping.host_port}"
        yield f"-A {chain} -s {self._network}{where} {what} -j {SET_MARK_CHAIN}"
        yield f"-A {chain} -s 127.0.0.1/32{where} {what} -j {SET_MARK_CHAIN}"
        yield f"-A {chain}{where} {what} -j DNAT --to-destination {address}:{mapping.container_port}"

    def _forget_connections(self, mappings: Iterable[PortMapping]) -> None:
        ports = {mapping.host_port for mapping in mappings if mapping.protocol == "UDP"}
        conntrack = self._root.netfilter.conntrack
        for connection in [*conntrack] if ports else ():
            if connection.original.protocol == PROTOCOL_UDP and connection.original.dport in ports:
                conntrack.delete(connection)

    def _load(self, *lines: str) -> None:
        self._root.netfilter.restore("\n".join(("*nat", *lines, "COMMIT", "")), noflush=True)
