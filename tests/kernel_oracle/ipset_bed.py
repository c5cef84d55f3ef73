"""A router on both sides with sets: made, changed and compared through `ipset`."""

from __future__ import annotations

import re
import time
from difflib import unified_diff

import pytest

from emulator.kernel.netfilter.ipset.error import IpsetRestoreError
from tests.kernel_oracle.harness import Observed
from tests.kernel_oracle.netfilter_bed import RouterBed

_TIMEOUT = re.compile(r"(?<= timeout )(\d+)")


class SetBed(RouterBed):
    """Give sets an `initval`, so that both sides lay them out alike."""

    def ipset(self, text: str) -> None:
        """`ipset restore` on both sides."""
        self.execute("ipset", "restore", stdin=text)
        self.ns.netfilter.sets.restore(text)

    def ipset_fails(self, text: str) -> None:
        """`ipset restore` on both sides, which must tell the same error."""
        done = self.attempt("ipset", "restore", stdin=text)
        with pytest.raises(IpsetRestoreError) as raised:
            self.ns.netfilter.sets.restore(text)
        assert done.stderr == f"ipset v7.17: {raised.value}\n"

    def compare_sets(self) -> None:
        """Compare what `ipset save` prints; timeouts but for the real time that went by."""
        real, emulated = self.execute("ipset", "save"), self.ns.netfilter.sets.save()
        ours, theirs = (_TIMEOUT.sub("T", text).splitlines() for text in (emulated, real))
        assert ours == theirs, "\n".join(
            ["the kernel has (-), we have (+):", *unified_diff(theirs, ours, lineterm="", n=0)]
        )
        gone = time.monotonic() - self.started - self.kernel.now
        for left, real_left in zip(_TIMEOUT.findall(emulated), _TIMEOUT.findall(real), strict=True):
            assert -1 <= int(left) - int(real_left) <= gone + 1, (left, real_left, gone)

    def send_and_compare(self, *packets: tuple[str, bytes]) -> Observed:
        """Send packets in; compare what comes out and the sets."""
        observed = self.send(*packets)
        self.compare_sets()
        return observed
