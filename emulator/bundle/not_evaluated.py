"""What a bundle holds that is not evaluated yet: IPv6, nftables and IPVS. One line says so of each file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems

_TABLE = re.compile(r"^table (?P<family>\w+) (?P<name>\S+) \{", re.MULTILINE)
_JSON_TABLE = re.compile(r'"table": *\{"family": *"(?P<family>\w+)", *"name": *"(?P<name>[^"]+)"')
_IPTABLES = re.compile(r"^\*(?P<name>\w+)", re.MULTILINE)


def note_not_evaluated(files: Files, problems: Problems) -> None:
    """Note each file that holds something which has no effect."""
    if re.search(r"^-A", files.text("ip6tables-save.txt") or "", re.MULTILINE):
        problems.note("ip6tables-save.txt is not evaluated: IPv6 is not emulated")
    if (files.text("ipvsadm-save.txt") or "").strip():
        problems.note("ipvsadm-save.txt is not evaluated yet: virtual servers have no effect")
    own = {found["name"] for found in _IPTABLES.finditer(files.text("iptables-save.txt") or "")}
    for name, pattern in (("nft.txt", _TABLE), ("nft.json", _JSON_TABLE)):
        tables = [
            f"{found['family']} {found['name']}"
            for found in pattern.finditer(files.text(name) or "")
            if not _is_iptables(found["family"], found["name"], own)
        ]
        if tables:
            problems.note(f"{name} is not evaluated yet: {_listed(tables)} no effect")


def _is_iptables(family: str, name: str, own: set[str]) -> bool:
    """Whether nft shows a table that iptables (or ip6tables) made: iptables-save.txt has it then."""
    return family in ("ip", "ip6") and name in own


def _listed(tables: list[str]) -> str:
    return f"table {tables[0]} has" if len(tables) == 1 else f"tables {', '.join(tables)} have"
