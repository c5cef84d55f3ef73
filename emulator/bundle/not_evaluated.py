"""What a bundle holds that is not evaluated: IPv6. One line says so of each file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.bundle.files import Files
    from emulator.bundle.problem import Problems


def note_not_evaluated(files: Files, problems: Problems) -> None:
    """Note each file that holds something which has no effect."""
    if re.search(r"^-A", files.text("ip6tables-save.txt") or "", re.MULTILINE):
        problems.note("ip6tables-save.txt is not evaluated: IPv6 is not emulated")
