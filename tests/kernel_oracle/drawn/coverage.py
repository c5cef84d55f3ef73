"""Counts what packets really met: matches and targets of rules that counted a packet, and states of entries."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from tests.kernel_oracle.drawn.case import Case
from tests.kernel_oracle.drawn.play import Outcome

_RULE = re.compile(r"^\[(\d+):\d+\] -A (\S+) ?(.*)$")
_STATE = re.compile(r"tcp +6 (\S+) src=")


def met(case: Case, outcome: Outcome) -> Counter[str]:
    """Return how many rules with each match and target counted a packet, and how many entries were in each state."""
    counts: Counter[str] = Counter({f"topology {case.topology}": 1})
    for line in outcome.rules:
        found = _RULE.match(line)
        if found is None or found[1] == "0":
            continue
        words = found[3].split()
        for flag, name in itertools.pairwise(words):
            if flag == "-m" or (flag in ("-j", "-g") and not name.startswith("U")):
                counts[f"{flag} {name}"] += 1
    for line in outcome.entries:
        state = _STATE.search(line)
        counts[f"entry {state[1] if state else line.split()[2]}"] += 1
        if "[ASSURED]" in line:
            counts["entry assured"] += 1
    return counts
