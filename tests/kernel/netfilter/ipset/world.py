"""A namespace's sets for tests, without rules."""

from __future__ import annotations

import random

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.ipset.sets import Sets
from emulator.kernel.netns import Netns


def fresh(text: str = "") -> Sets:
    """Return the sets that `ipset restore` makes of a text."""
    sets = Netns(Kernel("machine", random.Random(1)), "test").netfilter.sets
    sets.restore(text)
    return sets


def members(sets: Sets, name: str) -> list[str]:
    """Return the elements of a set, sorted, as `ipset save` prints them."""
    prefix = f"add {name} "
    return sorted(line.removeprefix(prefix) for line in sets.save(name).splitlines() if line.startswith(prefix))
