"""The tables of rules in `rules/`: `rule ; how nft lists it (= as it is) ; ok|fail|unsupported`, by kind of chain.

`unsupported`: nft takes it, and we refuse it by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "rules"
SURROUNDINGS = """
table {family} t {{
 set s4 {{ type ipv4_addr; flags dynamic; }}
 set st {{ type ipv4_addr; flags dynamic,timeout; timeout 1h; }}
 set sc {{ type ipv4_addr . inet_service; }}
 map vm {{ type ipv4_addr : verdict; }}
 map vmc {{ type ipv4_addr . inet_service : verdict; }}
 map mm {{ type ipv4_addr : mark; }}
 map dm {{ type ipv4_addr : ipv4_addr . inet_service; }}
 counter cnt {{ }}
 chain uc {{ }}
 chain c {{ {base} }}
}}
"""


@dataclass(frozen=True)
class RuleLine:
    """One line. `family` and `base` stand at the top of its file."""

    file: str
    family: str
    base: str
    rule: str
    listed: str
    verdict: str

    @property
    def surroundings(self) -> str:
        """A script that makes the table in which the rule is read."""
        return SURROUNDINGS.format(family=self.family, base=self.base)

    @property
    def command(self) -> str:
        """The rule as a line of a script."""
        return f"add rule {self.family} t c {self.rule}\n"


def read_rules() -> list[RuleLine]:
    """Return all lines of all files."""
    lines = []
    for path in sorted(DIRECTORY.glob("*.t")):
        head, *rest = path.read_text().splitlines()
        family, _, base = head.removeprefix("@").partition(" ")
        for line in rest:
            rule, _, tail = line.partition(" ; ")
            listed, _, verdict = tail.rpartition("; ")
            listed = listed.strip()
            lines.append(RuleLine(path.stem, family, base, rule, rule if listed == "=" else listed, verdict))
    return lines
