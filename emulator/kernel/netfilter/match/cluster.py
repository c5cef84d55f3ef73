"""`-m cluster`: the connections that this node of a cluster takes, by a hash of their source (xt_cluster.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.jhash import jhash2, swap
from emulator.kernel.netfilter.conntrack.connection import Connection
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.skb import PacketType
from emulator.packet.address import is_multicast

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_MOST_NODES = 32


class Cluster(Match, frozen=True):
    """`-m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0xfeed`; `nodes` are bits."""

    name = "cluster"
    options: ClassVar[Mapping[str, int]] = {
        "--cluster-total-nodes": 1,
        "--cluster-local-node": 1,
        "--cluster-local-nodemask": 1,
        "--cluster-hash-seed": 1,
    }
    invertible = frozenset({"--cluster-local-node", "--cluster-local-nodemask"})
    needs_conntrack = True

    nodes: int
    total: int
    seed: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Cluster:
        name = options.only_one("--cluster-local-node", "--cluster-local-nodemask")
        if name is None:
            raise RuleError("cluster match: `--cluster-local-node' or`--cluster-local-nodemask' is missing")
        total = _number(options, "--cluster-total-nodes")
        seed = parse_integer(options.require("--cluster-hash-seed").value, "cluster: --cluster-hash-seed")
        nodes = _number(options, name)
        if name == "--cluster-local-node":
            nodes = 1 << nodes - 1
        if nodes >= 1 << total:
            why = "must be <= `--cluster-total-nodes'"
            why = why if name == "--cluster-local-node" else "too big for `--cluster-total-nodes'"
            raise RuleError(f"cluster match: `{name}' {why}")
        return cls(nodes, total, seed, options.require(name).inverted)

    def format(self) -> str:
        return (
            f"{'! ' if self.inverted else ''}--cluster-local-nodemask {self.nodes:#010x} "
            f"--cluster-total-nodes {self.total} --cluster-hash-seed {self.seed:#010x}"
        )

    def listing(self, names: Names) -> str:
        sign = "!" if self.inverted else ""
        return f"cluster {sign}node_mask={self.nodes:#010x} total_nodes={self.total} hash_seed={self.seed:#010x}"

    def _node(self, connection: Connection) -> int:
        return jhash2((swap(connection.original.saddr),), self.seed) * self.total >> 32

    def seen(self, skb: Skb, context: Context) -> str:
        return f"node {self._node(skb.ct) + 1}" if isinstance(skb.ct, Connection) else "no connection"

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.packet_type is PacketType.MULTICAST and not is_multicast(skb.daddr):
            skb.packet_type = PacketType.HOST  # its frame went to a MAC that the nodes of the cluster share
        if not isinstance(skb.ct, Connection):
            return False
        return bool(self.nodes >> self._node(skb.ct) & 1) is not self.inverted


def _number(options: Options, name: str) -> int:
    return parse_integer(options.require(name).value, f"cluster: {name}", 1, _MOST_NODES)
