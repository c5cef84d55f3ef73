"""`-j LOG`: a line in the kernel's log for each packet (nf_log_syslog.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.options import quote
from emulator.kernel.netfilter.packet_words import packet_words
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LEVELS = {"emerg": 0, "panic": 0, "alert": 1, "crit": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
_WARNING = 4
_FLAGS = ("--log-tcp-sequence", "--log-tcp-options", "--log-ip-options", "--log-uid")
_FLAG_BITS = {**{flag: 1 << bit for bit, flag in enumerate(_FLAGS)}, "--log-macdecode": 0x20}
_LISTED_LEVELS = {
    "emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7,
}  # fmt: skip
_MAXIMUM_PREFIX = 29


class Log(Target, frozen=True):
    """`-j LOG --log-prefix "in: "`. The lines are in `Netfilter.log`."""

    name = "LOG"
    options: ClassVar[Mapping[str, int]] = {
        "--log-level": 1,
        "--log-prefix": 1,
        **dict.fromkeys(_FLAGS, 0),
        "--log-macdecode": 0,
    }

    prefix: str = ""
    level: int = _WARNING
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, options: Options) -> Log:
        prefix = options.get("--log-prefix")
        level = options.get("--log-level")
        return cls(
            prefix.value[:_MAXIMUM_PREFIX] if prefix else "",
            _parse_level(level.value) if level else _WARNING,
            tuple(flag for flag in (*_FLAGS, "--log-macdecode") if options.has(flag)),
        )

    def format(self) -> str:
        words = []
        if self.prefix:
            words.append(f"--log-prefix {quote(self.prefix)}")
        if self.level != _WARNING:
            words.append(f"--log-level {self.level}")
        return " ".join([*words, *self.flags])

    def listing(self, names: Names) -> str:
        if names.numeric:
            flags = sum(bit for flag, bit in _FLAG_BITS.items() if flag in self.flags)
            words = [f"LOG flags {flags} level {self.level}"]
        else:
            level = next(name for name, number in _LISTED_LEVELS.items() if number == self.level)
            words = [f"LOG level {level}", *(flag.removeprefix("--log-") for flag in self.flags)]
        if self.prefix:
            words.append(f'prefix "{self.prefix}"')
        return " ".join(words)

    def logged(self, skb: Skb) -> str:
        return self.prefix + packet_words(skb)

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        context.netfilter.log.append((context.netns.kernel.now, self.level, self.logged(skb)))
        return None


def _parse_level(text: str) -> int:
    if len(text) == 1 and text in "01234567":
        return int(text)
    found = _LEVELS.get(text)
    if found is None:
        raise RuleError(f'log level "{text}" unknown')
    return found
