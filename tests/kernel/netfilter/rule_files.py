"""The tables of rules in `rules/`: a line is `rule ; how it is saved (= as it is) ; ok|fail`, a file one extension.

A file begins with `@TABLE CHAIN`; lines that begin with % are ipset commands that make the sets of its rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "rules"


@dataclass(frozen=True)
class RuleLine:
    """One line. `table`, `chain` and `sets`, a text for `ipset restore`, stand at the top of its file."""

    file: str
    table: str
    chain: str
    rule: str
    saved: str
    valid: bool
    sets: str = ""

    @property
    def text(self) -> str:
        """The rule as iptables-restore reads it."""
        return f"*{self.table}\n:CH - [0:0]\n-A {self.chain} {self.rule}\nCOMMIT\n"


def read_rules() -> list[RuleLine]:
    """Return all lines of all files."""
    lines = []
    for path in sorted(DIRECTORY.glob("*.t")):
        head, *rest = path.read_text().splitlines()
        table, chain = head.removeprefix("@").split()
        sets = "".join(line[1:] + "\n" for line in rest if line[0] == "%")
        for line in rest:
            if line[0] == "%":
                continue
            rule, saved, verdict = line.split(" ; ") if " ; ; " not in line else (line.split(" ; ; ")[0], "", "fail")
            lines.append(
                RuleLine(path.stem, table, chain, rule, rule if saved == "=" else saved, verdict == "ok", sets)
            )
    return lines
