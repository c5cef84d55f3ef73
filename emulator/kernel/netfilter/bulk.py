"""Loading very many rules at once: CPython's cycle collector is paused meanwhile.

A table of 100,000 rules is a million objects and not one cycle. The collector would walk all of them again each time
they have grown by a quarter, which takes longer than to read them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from running; reference counts free what ends, as ever."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
