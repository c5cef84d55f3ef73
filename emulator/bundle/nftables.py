"""nft.txt or nft.json: the tables of nftables; those that iptables made there are in iptables-save.txt already."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.error import NftError

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems
    from emulator.kernel.netfilter.netfilter import Netfilter

TEXT, JSON = "nft.txt", "nft.json"
# As `nft list ruleset` prints a table: its last line is a brace that stands alone at the beginning of a line.
_TABLE = re.compile(r"^table (?P<family>\w+) (?P<name>\S+) \{.*?^\}$", re.MULTILINE | re.DOTALL)
_IPTABLES = re.compile(r"^\*(?P<name>\w+)", re.MULTILINE)
_FAMILIES_OF_IPTABLES = ("ip", "ip6")


def load_nftables(netfilter: Netfilter, files: Files, problems: Problems) -> None:
    """Load the tables; what is wrong with them is told with the line. JSON goes before text, if both are there."""
    text, document = files.text(TEXT), files.text(JSON)
    own = {found["name"] for found in _IPTABLES.finditer(files.text("iptables-save.txt") or "")}
    try:
        if document is not None:
            netfilter.nft.load_json(_without_iptables(document, own))
            if text is not None:
                problems.note(f"{TEXT} is not read, since there is {JSON}")
        elif text is not None:
            netfilter.nft.load(_blank(text, own), file=TEXT)
    except NftError as error:
        name = JSON if document is not None else TEXT
        problems.add(f"{name}: line {error.line}" if error.line and name == TEXT else name, error.message)
        return
    if any(family == "ip6" for family, _ in netfilter.nft.tables):
        problems.note("tables of family ip6 in nftables see no packets: IPv6 is not emulated")


def _blank(text: str, own: set[str]) -> str:
    """Empty the lines of tables that iptables made, so that all others keep their numbers."""

    def keep(found: re.Match[str]) -> str:
        of_iptables = found["family"] in _FAMILIES_OF_IPTABLES and found["name"] in own
        return "\n" * found[0].count("\n") if of_iptables else found[0]

    return _TABLE.sub(keep, text)


def _without_iptables(document: str, own: set[str]) -> str:
    """Leave out what belongs to tables that iptables made. What is no such document is left to its reader."""
    try:
        values = json.loads(document)
        kept = [entry for entry in values["nftables"] if not _is_of_iptables(entry, own)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return document
    return json.dumps({"nftables": kept})


def _is_of_iptables(entry: object, own: set[str]) -> bool:
    if not isinstance(entry, dict):
        return False
    for word, values in entry.items():
        if isinstance(values, dict) and values.get("family") in _FAMILIES_OF_IPTABLES:
            return values.get("name" if word == "table" else "table") in own
    return False
