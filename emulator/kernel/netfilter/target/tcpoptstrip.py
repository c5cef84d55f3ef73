"""`-j TCPOPTSTRIP`: overwrites options of TCP with NOPs (xt_TCPOPTSTRIP.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.ip.fragment import pull
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import NF_DROP
from emulator.kernel.netfilter.ip_write import set_tcp_byte
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_NAMES = {"wscale": 3, "mss": 2, "sack-permitted": 4, "sack": 5, "timestamp": 8, "md5": 19}
_KINDS = {kind: name for name, kind in _NAMES.items()}
_HEADER = 20
_NOP = 1
_FRAGMENT_OFFSET = 0x1FFF


class Tcpoptstrip(Target, frozen=True):
    """`-p tcp -j TCPOPTSTRIP --strip-options timestamp,sack-permitted`; `kinds` in ascending order."""

    name = "TCPOPTSTRIP"
    options: ClassVar[Mapping[str, int]] = {"--strip-options": 1}
    tables = frozenset({"mangle"})

    kinds: tuple[int, ...] = ()

    @classmethod
    def parse(cls, options: Options) -> Tcpoptstrip:
        option = options.get("--strip-options")
        kinds: set[int] = set()
        for text in option.value.split(",") if option else ():
            kind = _NAMES.get(text) or _parse_kind(text)
            if kind < 2:
                raise RuleError("Option value may not be 0 or 1")
            if kind in kinds:
                raise RuleError(f'Option "{text}" already specified')
            kinds.add(kind)
        options.require_protocol("tcp")
        return cls(tuple(sorted(kinds)))

    def format(self) -> str:
        return f"--strip-options {','.join(str(kind) for kind in self.kinds)}" if self.kinds else ""

    def listing(self, names: Names) -> str:
        if not self.kinds:
            return ""
        shown = (str(kind) if names.numeric else _KINDS.get(kind, str(kind)) for kind in self.kinds)
        return f"TCPOPTSTRIP options {','.join(shown)}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if skb.fragment & _FRAGMENT_OFFSET:
            return None
        data, start = skb.data, skb.transport
        header = (data[start + 12] >> 4) * 4 if len(data) >= start + _HEADER else 0
        if header < _HEADER or len(data) < start + header:
            return NF_DROP
        pull(skb, header)
        at = _HEADER
        while at < header - 1:
            kind = data[start + at]
            length = 1 if kind <= _NOP or data[start + at + 1] == 0 else data[start + at + 1]
            if at + length > header:
                break
            if kind in self.kinds:
                for octet in range(at, at + length):
                    set_tcp_byte(skb, octet, _NOP)
            at += length
        return None


def _parse_kind(text: str) -> int:
    try:
        return parse_integer(text, "TCPOPTSTRIP: --strip-options", 0, 255)
    except RuleError:
        raise RuleError(f'Bad TCP option value "{text}"') from None
