"""`-m cgroup`: the control group of the program whose socket sent the packet (xt_cgroup.c).

There are no control groups here but the root, and no net_cls controller: every socket is in "/", its class is 0.
Another path is refused, as the kernel refuses one that is not there. Linux also finds sockets for packets in INPUT,
where it looked them up early; that is not done here, so nothing matches there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer, quote

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_HOOKS = frozenset({Hook.INPUT, Hook.OUTPUT, Hook.POSTROUTING})


class Cgroup(Match, frozen=True):
    """`-m cgroup --path /` or `--cgroup 1048577`, a class of net_cls."""

    name = "cgroup"
    options: ClassVar[Mapping[str, int]] = {"--path": 1, "--cgroup": 1}
    invertible = frozenset(options)

    path: str = ""
    class_id: int = 0
    inverted: bool = False

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Cgroup:
        path, class_id = options.get("--path"), options.get("--cgroup")
        number = 0 if class_id is None else parse_integer(class_id.value, "cgroup: --cgroup")
        if (path is None) is (class_id is None):
            raise KernelError("Invalid argument", "cgroup: exactly one of --path and --cgroup is wanted")
        if path is None:
            return cls("", number, class_id is not None and class_id.inverted)
        if path.value.strip("/"):
            raise KernelError("No such file or directory", f"cgroup: there is no control group {path.value}")
        if not path.value:
            raise RuleError('cgroup: bad value for option "--path"')
        return cls(path.value, 0, path.inverted)

    def format(self) -> str:
        value = f"--path {quote(self.path)}" if self.path else f"--cgroup {self.class_id}"
        return f"{'! ' if self.inverted else ''}{value}"

    def listing(self, names: Names) -> str:
        return f"cgroup {'! ' if self.inverted else ''}{self.path or self.class_id}"

    def seen(self, skb: Skb, context: Context) -> str:
        return "no socket" if skb.socket is None else 'class 0 in "/"'

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.socket is None:
            return False
        return (bool(self.path) or self.class_id == 0) is not self.inverted
