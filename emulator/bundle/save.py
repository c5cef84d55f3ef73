"""The way back from `load_bundle`: a namespace's state as the standard tools print it, one text a file.

Loaded again, it is the same node: the same links, addresses, routes, rules, sets and tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emulator.kernel.link.link import Link
from emulator.kernel.link.text import address_row, link_row
from emulator.kernel.netfilter.ipvs.listing import Listing
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route_text import Field, route_fields
from emulator.kernel.routing.rule_text import rule_fields


def saved_files(netns: Netns) -> dict[str, str]:
    """Return the text of each file, by name. Neighbours are left out, so that whoever reads it makes MACs up."""
    netfilter = netns.netfilter
    files = {
        "links.json": _rows(_link(link) for link in sorted(netns.links.values(), key=lambda link: link.index)),
        "routes.json": _rows(_fields(route_fields(route, show_table=True)) for route in netns.fib.routes(None)),
        "rules.json": _rows(_fields(rule_fields(rule)) for rule in netns.fib.rules),
        "sysctl.txt": "".join(f"{name} = {netns.sysctl.get(name)}\n" for name in netns.sysctl.names()),
        "iptables-save.txt": netfilter.save(),
        "ipset-save.txt": netfilter.sets.save(),
        "conntrack.txt": "".join(f"{connection.format(netns.kernel.now)}\n" for connection in netfilter.conntrack),
    }
    services = Listing(netfilter.ipvs, {"numeric"}).save()
    if services:
        files["ipvsadm-save.txt"] = services
        files["ipvs-connections.txt"] = Listing(netfilter.ipvs, {"numeric"}).connections()
    if netfilter.nft.tables:
        files["nft.txt"] = netfilter.nft.list_ruleset()
    return files


def write_files(directory: Path, files: Mapping[str, str]) -> None:
    """Write them, in place of those of these names. OSError if that cannot be done."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def _rows(rows: Iterable[dict[str, Any]]) -> str:
    """Return an array, a line for each entry: `ip -j` writes the same in one line."""
    return "[" + ",\n".join(json.dumps(row) for row in rows) + "]\n"


def _fields(fields: Iterable[Field]) -> dict[str, Any]:
    return {key: value for key, value, _ in fields}


def _link(link: Link) -> dict[str, Any]:
    """Return a row of `ip -j -d addr`."""
    return link_row(link, details=True) | {"addr_info": [address_row(link, own) for own in link.addresses]}
