"""`-j LOG`: a line in the kernel's log for each packet (nf_log_syslog.c)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.options import quote
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.netfilter.tuple import ICMP, PROTOCOL_NAMES, TCP, UDP
from emulator.packet.address import format_ipv4

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
    "emerg": 0, "alert": 1, "crit": 2, "error": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7,
}  # fmt: skip
_MAXIMUM_PREFIX = 29
_TCP_FLAGS = (("URG", 0x20), ("ACK", 0x10), ("PSH", 0x08), ("RST", 0x04), ("SYN", 0x02), ("FIN", 0x01))


@dataclass(frozen=True, slots=True)
class Log(Target):
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
        if prefix is not None and len(prefix.value) > _MAXIMUM_PREFIX:
            raise RuleError(f"LOG: --log-prefix is longer than {_MAXIMUM_PREFIX} characters")
        level = options.get("--log-level")
        return cls(
            prefix.value if prefix else "",
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

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        context.netfilter.log.append((context.netns.kernel.now, self.level, self.prefix + " ".join(_words(skb))))
        return None


def _parse_level(text: str) -> int:
    if text.isdigit() and int(text) <= 7:
        return int(text)
    found = next((level for name, level in _LEVELS.items() if text and name.startswith(text.lower())), None)
    if found is None:
        raise RuleError(f'LOG: log-level "{text}" unknown')
    return found


def _words(skb: Skb) -> Iterator[str]:
    data, network, transport = skb.data, skb.network, skb.transport
    yield f"IN={'' if skb.in_link is None else skb.in_link.name}"
    yield f"OUT={'' if skb.out_link is None else skb.out_link.name}"
    if skb.in_link is not None:
        yield "MAC=" + data[:network].hex(":")
    tos = data[network + 1]
    yield f"SRC={format_ipv4(skb.saddr)} DST={format_ipv4(skb.daddr)} LEN={len(data) - network}"
    yield f"TOS=0x{tos & 0x1E:02X} PREC=0x{tos & 0xE0:02X} TTL={data[network + 8]}"
    yield f"ID={data[network + 4] << 8 | data[network + 5]}"
    if skb.fragment & 0x4000:
        yield "DF"
    if skb.fragment & 0x2000:
        yield "MF"
    if skb.fragment & 0x1FFF:
        yield f"FRAG:{skb.fragment & 0x1FFF}"
    yield f"PROTO={PROTOCOL_NAMES.get(skb.protocol, str(skb.protocol)).upper()}"
    if skb.protocol in (TCP, UDP) and len(data) >= transport + 8:
        yield f"SPT={skb.sport} DPT={skb.dport}"
    if skb.protocol == UDP and len(data) >= transport + 8:
        yield f"LEN={data[transport + 4] << 8 | data[transport + 5]}"
    if skb.protocol == TCP and len(data) >= transport + 20:
        yield f"WINDOW={data[transport + 14] << 8 | data[transport + 15]} RES=0x00"
        yield from (name for name, bit in _TCP_FLAGS if data[transport + 13] & bit)
        yield f"URGP={data[transport + 18] << 8 | data[transport + 19]}"
    if skb.protocol == ICMP and len(data) >= transport + 8:
        yield f"TYPE={data[transport]} CODE={data[transport + 1]}"
        if data[transport] in (0, 8):
            yield f"ID={data[transport + 4] << 8 | data[transport + 5]}"
            yield f"SEQ={data[transport + 6] << 8 | data[transport + 7]}"
    if skb.mark:
        yield f"MARK={skb.mark:#x}"
