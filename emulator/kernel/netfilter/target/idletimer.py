"""`-j IDLETIMER`: sysfs tells when nothing has passed for a time (xt_IDLETIMER.c). Nobody reads it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LONGEST_LABEL = 27


class Idletimer(Target, frozen=True):
    """`-j IDLETIMER --timeout 600 --label wlan`; the packet goes on with the next rule."""

    name = "IDLETIMER"
    options: ClassVar[Mapping[str, int]] = {"--timeout": 1, "--label": 1, "--alarm": 0}

    timeout: int
    label: str
    alarm: bool = False

    @classmethod
    def parse(cls, options: Options) -> Idletimer:
        timeout = parse_integer(options.require("--timeout").value, "IDLETIMER: --timeout")
        label = options.require("--label").value[:_LONGEST_LABEL]
        if not timeout or not label:
            raise KernelError("Invalid argument", f"IDLETIMER: {'the label is empty' if timeout else 'timeout of 0'}")
        return cls(timeout, label, options.has("--alarm"))

    def format(self) -> str:
        return f"--timeout {self.timeout} --label {self.label}{' --alarm' if self.alarm else ''}"

    def listing(self, names: Names) -> str:
        return f"timeout:{self.timeout} label:{self.label}{' alarm' if self.alarm else ''}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None
