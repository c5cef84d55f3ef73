"""A node from its saved state: one machine with one namespace, as the files of a directory say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.bundle.edge import Emit
from emulator.bundle.files import Files
from emulator.bundle.ipvs import load_ipvs
from emulator.bundle.link_spec import read_links
from emulator.bundle.links import build_links
from emulator.bundle.neighbours import StandIns, load_fdb, load_neighbours
from emulator.bundle.netfilter import load_netfilter
from emulator.bundle.nftables import load_nftables
from emulator.bundle.not_evaluated import note_not_evaluated
from emulator.bundle.not_there import note_not_saved, note_not_there
from emulator.bundle.problem import Problems
from emulator.bundle.routes import Tables, load_routes, load_rules
from emulator.bundle.sysctls import load_sysctls
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns

if TYPE_CHECKING:
    from emulator.kernel.kernel import RandomSource
    from emulator.kernel.netfilter.iptables.ignored import IgnoredLine


class Bundle(Struct, frozen=True):
    """The node. `stand_ins` is None where ARP is left to find neighbours.

    `notes` are lines that a reader of the answers must know; `ignored_rules` the lines that `ignore_unknown` let pass,
    `ignored_sysctls` how many values are not of what is emulated.
    """

    kernel: Kernel
    netns: Netns
    notes: tuple[str, ...]
    stand_ins: StandIns | None
    ignored_rules: tuple[IgnoredLine, ...]
    ignored_sysctls: int


def load_bundle(
    directory: Path,
    emit: Emit,
    random: RandomSource,
    *,
    now: float = 0.0,
    ignore_unknown: bool = False,
    assume_neighbours: bool | None = None,
) -> Bundle:
    """Read a bundle. BundleError tells all that is wrong with it; nothing is half done then.

    `now`: the time of the state, in seconds since 1970. `emit` gets each frame that the node sends. `ignore_unknown`:
    rules with an unknown match or target never match. `assume_neighbours`: make up the MACs of unknown next hops; by
    default where there is no neigh.json at all.
    """
    problems = Problems()
    files = Files(directory, problems)
    netns = Netns(Kernel(directory.resolve().name, random, now), "node")
    _load_links(netns, files, emit, problems)
    ignored_sysctls = load_sysctls(netns, files.text("sysctl.txt"), problems)
    _load_routing(netns, files, problems)
    load_nftables(netns.netfilter, files, problems)
    ignored_rules = load_netfilter(netns.netfilter, files, problems, ignore_unknown=ignore_unknown)
    load_ipvs(netns, files, problems)
    stand_ins = _load_neighbours(netns, files, problems, assume_neighbours)
    note_not_there(netns, files, problems, made_up=stand_ins is not None)
    note_not_saved(netns.netfilter, problems)
    note_not_evaluated(files, problems)
    problems.check()
    return Bundle(netns.kernel, netns, tuple(problems.notes), stand_ins, ignored_rules, ignored_sysctls)


def _load_links(netns: Netns, files: Files, emit: Emit, problems: Problems) -> None:
    values = files.array("links.json")
    if not values:
        if values is None and problems.found:  # it could not be read
            problems.check()
        what = "not there" if values is None else "empty"
        problems.add("links.json", f"{what}; save what `ip -j -d addr` prints on the node")
        problems.check()
        return
    specs = read_links(values, problems)
    build_links(netns, specs, emit, problems)
    problems.notes += [
        f"{spec.name}: VLAN filtering of bridges is not emulated; it has no effect"
        for spec in specs.values()
        if spec.vlan_filtering
    ]


def _load_routing(netns: Netns, files: Files, problems: Problems) -> None:
    tables = Tables()
    routes, rules = files.array("routes.json"), files.array("rules.json")
    if routes:  # a node that is up has its local routes at least; without, those of its addresses stay
        load_routes(netns, routes, tables, problems)
    if rules is not None:
        load_rules(netns, rules, tables, problems)


def _load_neighbours(netns: Netns, files: Files, problems: Problems, assume_neighbours: bool | None) -> StandIns | None:
    neighbours, fdb = files.array("neigh.json"), files.array("fdb.json")
    if neighbours is not None:
        load_neighbours(netns, neighbours, problems)
    if fdb is not None:
        load_fdb(netns, fdb, problems)
    if assume_neighbours is None:
        assume_neighbours = neighbours is None
    if not assume_neighbours:
        return None
    stand_ins = StandIns()
    netns.neighbours.assume = stand_ins.assume
    return stand_ins
