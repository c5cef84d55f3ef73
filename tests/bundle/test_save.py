"""A namespace that is saved and loaded again is the same: its links, routes, rules of each sort, sets and sysctls."""

from __future__ import annotations

from pathlib import Path
from random import Random

from emulator.bundle.bundle import load_bundle
from emulator.bundle.files import FILES
from emulator.bundle.save import saved_files, write_files
from emulator.kernel.link.dummy import Dummy
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int
from emulator.reachability.cluster import NodeModel
from emulator.reachability.node import make_node

RULES = "*nat\n-A POSTROUTING -s 10.0.0.0/8 -m set --match-set s dst -j MASQUERADE\nCOMMIT\n"
NFT = "table ip t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }\n\t}\n}\n"


def node() -> Netns:
    netns = make_node(
        NodeModel("n", ("172.18.0.2", "172.18.1.2"), "10.0.0.0/24"),
        [NodeModel("o", ("172.18.0.3",), "10.0.1.0/24")],
        Random(0),
    )
    dummy = Dummy(netns, "kube-ipvs0", 0x020000000009)
    netns.add_address(dummy, ipv4_to_int("10.96.0.1"), 32)
    netns.netfilter.sets.restore("create s hash:ip\nadd s 10.9.0.1\n")
    netns.netfilter.restore(RULES)
    netns.netfilter.nft.load(NFT)
    netns.netfilter.ipvs.run("-A -t 10.96.0.1:80 -s rr -p 600\n-a -t 10.96.0.1:80 -r 10.0.0.5:8080 -m -w 1\n")
    netns.sysctl.set("net.ipv4.conf.all.route_localnet", 1)
    return netns


def test_what_is_saved_loads_and_saves_the_same(tmp_path: Path) -> None:
    files = saved_files(node())
    assert set(files) <= set(FILES)
    write_files(tmp_path / "new", files)
    loaded = load_bundle(tmp_path / "new", lambda _link, _frame: None, Random(0))
    again = saved_files(loaded.netns)
    # Neighbours that are known stay known in a replay.
    keep = {name: text for name, text in again.items() if name != "sysctl.txt"}
    assert keep == {name: text for name, text in files.items() if name != "sysctl.txt"}
    changed = set(again["sysctl.txt"].splitlines()) ^ set(files["sysctl.txt"].splitlines())
    assert {line.partition(" = ")[0].rpartition(".")[2] for line in changed} <= {
        "base_reachable_time_ms",
        "delay_first_probe_time",
    }
    assert [note for note in loaded.notes if "not there" in note] == [
        "not there: neigh.json (MACs of next hops are made up)"
    ]
