"""`-m hashlimit`: a token bucket for each source, destination or port, in tables that rules share by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match, Memory
from emulator.kernel.netfilter.match.hashlimit_table import (
    BYTE_SHIFT,
    MODES,
    SCALE,
    HashlimitConfig,
    HashlimitTable,
    cost_to_bytes,
    overflows,
)
from emulator.kernel.netfilter.match.rate import format_rate, parse_rate
from emulator.kernel.netfilter.options import U32, parse_integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_DEFAULT_BURST = 5
_MAXIMUM_BURST = 1_000_000
_DEFAULT_INTERVAL = 1_000  # ms between two looks for expired entries
_BYTE_EXPIRE, _BYTE_EXPIRE_BURST = 15, 60  # s
_FACTORS = {"k": 1 << 10, "m": 1 << 20}
_SIZES = (("m", 1 << 20), ("k", 1 << 10), ("", 1))
_NUMBER = re.compile(r"\s*\+?(\d{1,4000})", re.ASCII)
_BURST = re.compile(r"(0[xX][0-9a-fA-F]{1,4000}|\d{1,4000})(.?)", re.ASCII)
_UPTO = ("--hashlimit-upto", "--hashlimit")


class Hashlimit(Match, frozen=True):
    """`-m hashlimit --hashlimit-upto 5/min --hashlimit-mode srcip --hashlimit-name ssh`; `above` matches over it."""

    name = "hashlimit"
    options: ClassVar[Mapping[str, int]] = {
        "--hashlimit-upto": 1,
        "--hashlimit-above": 1,
        "--hashlimit": 1,
        "--hashlimit-burst": 1,
        "--hashlimit-mode": 1,
        "--hashlimit-name": 1,
        "--hashlimit-srcmask": 1,
        "--hashlimit-dstmask": 1,
        "--hashlimit-htable-size": 1,
        "--hashlimit-htable-max": 1,
        "--hashlimit-htable-gcinterval": 1,
        "--hashlimit-htable-expire": 1,
        "--hashlimit-rate-match": 0,
        "--hashlimit-rate-interval": 1,
    }
    invertible = frozenset({"--hashlimit-upto", "--hashlimit-above", "--hashlimit"})
    has_memory = True

    table: str
    config: HashlimitConfig
    above: bool = False

    @classmethod
    def parse(cls, options: Options) -> Hashlimit:
        name = options.require("--hashlimit-name").value
        given = options.only_one("--hashlimit-upto", "--hashlimit-above", "--hashlimit")
        if given is None:
            raise RuleError("You have to specify --hashlimit")
        if not name or "/" in name or len(name) > 254:
            raise RuleError(f'hashlimit: Bad value for "--hashlimit-name" option: "{name}"')
        option = options.require(given)
        config = _read_config(options, given, option.value)
        return cls(name, config, (given not in _UPTO) is not option.inverted)

    def format(self) -> str:
        config = self.config
        rate, quantum = self._rate("--hashlimit-", config.period)
        words = ["--hashlimit-above" if self.above else "--hashlimit-upto", rate]
        if config.mode:
            words.append(f"--hashlimit-mode {','.join(config.mode)}")
        words.append(f"--hashlimit-name {self.table}")
        return " ".join(words + [f"--hashlimit-{word}" for word in self._details(quantum)])

    def listing(self, names: Names) -> str:
        config = self.config
        # In rate-match mode the period is that of a second, and is printed so by iptables-save, but not here.
        rate, quantum = self._rate("", config.period * (config.interval or 1))
        words = ["limit: above" if self.above else "limit: up to", rate]
        if config.mode:
            words.append(f"mode {'-'.join(config.mode)}")
        return " ".join(words + self._details(quantum))

    def _rate(self, prefix: str, period: int) -> tuple[str, int]:
        """Print rate and burst; the second is what entries live for by default at that rate, in ms."""
        burst = self.config.burst
        if not self.config.in_bytes:
            rate, unit = format_rate(period, SCALE)
            return f"{rate} {prefix}burst {burst}", unit * 1_000
        cost = self.config.period
        whole = cost_to_bytes(cost)
        letter, size = next(
            (letter, size)
            for letter, size in _SIZES
            if size == 1 or (whole >= size and _bytes_to_cost(whole & -size) == cost)
        )
        text = f"{whole // size}{letter}b/s"
        if not burst:
            return text, _BYTE_EXPIRE * 1_000
        total = whole * burst
        letter, size = next((letter, size) for letter, size in _SIZES if size == 1 or total >= size)
        return f"{text} {prefix}burst {total // size}{letter}b", _BYTE_EXPIRE_BURST * 1_000

    def _details(self, quantum: int) -> list[str]:
        config = self.config
        words = []
        for word, value, default in (
            ("htable-size", config.size, 0),
            ("htable-max", config.maximum, 0),
            ("htable-gcinterval", config.gc_interval, _DEFAULT_INTERVAL),
            ("htable-expire", config.expire, quantum),
            ("srcmask", config.source_length, 32),
            ("dstmask", config.destination_length, 32),
        ):
            if value != default:
                words.append(f"{word} {value}")
        if config.rate_match:
            words.append("rate-match")
            if config.interval != 1:
                words.append(f"rate-interval {config.interval}")
        return words

    def memory(self) -> Memory:
        return "hashlimit", self.table

    def prepare(self, netfilter: Netfilter) -> None:
        """Make the table when a rule is loaded: it works as the first rule that names it says."""
        netfilter.hashlimits.setdefault(self.table, HashlimitTable(self.config, netfilter.netns.kernel.now))

    def matches(self, skb: Skb, context: Context) -> bool:
        table = context.netfilter.hashlimits[self.table]
        return table.is_under(self.config, skb, context.netns.kernel.now) is not self.above

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        self.prepare(netfilter)
        table, kernel, config, above = netfilter.hashlimits[self.table], netfilter.netns.kernel, self.config, self.above
        return lambda skb, _: table.is_under(config, skb, kernel.now) is not above


def _read_config(options: Options, given: str, text: str) -> HashlimitConfig:
    rate = _parse_bytes(text)
    in_bytes = rate is not None
    if rate is None:
        rate = parse_rate(text, SCALE)
    if rate is None:
        name = "--hashlimit-above" if given == "--hashlimit-above" else "--hashlimit-upto"
        raise RuleError(f'hashlimit: Bad value for "{name}" option: "{text}"')
    period, unit = rate
    rate_match = options.has("--hashlimit-rate-match")
    interval = options.get("--hashlimit-rate-interval")
    seconds = 0 if interval is None else _parse_interval(interval.value)
    burst, expire = _burst(options, period, in_bytes), unit * 1_000
    if in_bytes and burst:
        expire = _BYTE_EXPIRE_BURST * 1_000
    config = HashlimitConfig(
        mode=_parse_mode(options),
        period=period if in_bytes or not rate_match else period // unit,
        burst=burst,
        in_bytes=in_bytes,
        source_length=_length(options, "--hashlimit-srcmask"),
        destination_length=_length(options, "--hashlimit-dstmask"),
        size=_number(options, "--hashlimit-htable-size", 0),
        maximum=_number(options, "--hashlimit-htable-max", 0),
        gc_interval=_number(options, "--hashlimit-htable-gcinterval", _DEFAULT_INTERVAL),
        expire=_number(options, "--hashlimit-htable-expire", expire),
        rate_match=rate_match,
        interval=seconds or ((1 if in_bytes else unit) if rate_match else 0),
    )
    if not config.gc_interval or not config.expire or overflows(config):
        raise KernelError("Numerical result out of range", "hashlimit: rate and burst overflow")
    return config


def _parse_bytes(text: str) -> tuple[int, int] | None:
    """Read `10kb/s` to what 16 bytes cost, in 1/2**32 of a second's credit; None if it is not in bytes."""
    at, number = text.find("b/s"), _NUMBER.match(text)
    if at < 1 or number is None or not int(number[1]):
        return None
    cost = _bytes_to_cost(int(number[1]) * _FACTORS.get(text[at - 1], 1))
    if not cost:
        raise RuleError(f'Rate too high "{text}"')
    return cost, _BYTE_EXPIRE


def _bytes_to_cost(count: int) -> int:
    return U32 // ((count >> BYTE_SHIFT & U32) + 1)


def _burst(options: Options, period: int, in_bytes: bool) -> int:
    """Return the burst in packets, or in bytes mode in how many seconds' bytes it is."""
    option = options.get("--hashlimit-burst")
    if option is None:
        return 0 if in_bytes else _DEFAULT_BURST
    found = _BURST.match(option.value)
    value = int(found[1], 0 if found[1][:2].lower() == "0x" else 10) if found else 0
    if found is None or not value or (not found[2] and value > _MAXIMUM_BURST):
        raise RuleError(f'bad value for option "--hashlimit-burst", or out of range (1-{_MAXIMUM_BURST}).')
    value *= _FACTORS.get(found[2], 1)
    if not in_bytes:
        if value > _MAXIMUM_BURST:
            raise RuleError(f'bad value for option "--hashlimit-burst", or out of range (1-{_MAXIMUM_BURST}).')
        return value
    second = cost_to_bytes(period)
    if value < second or not second:
        raise RuleError(f"burst cannot be smaller than {second}b")
    return -(-value // second)


def _parse_mode(options: Options) -> tuple[str, ...]:
    option = options.get("--hashlimit-mode")
    given = set() if option is None else set(option.value.replace("|", ",").split(",")) - {""}
    if option is not None and not given <= set(MODES):
        raise RuleError(f'hashlimit: Bad value for "--hashlimit-mode" option: "{option.value}"')
    return tuple(mode for mode in MODES if mode in given)


def _parse_interval(text: str) -> int:
    number = _NUMBER.match(text)
    if number is None or not int(number[1]):
        raise RuleError(f'hashlimit: Bad value for "--hashlimit-rate-interval" option: "{text}"')
    return int(number[1])


def _length(options: Options, name: str) -> int:
    option = options.get(name)
    return 32 if option is None else parse_integer(option.value, f"hashlimit: {name}", 0, 32)


def _number(options: Options, name: str, default: int) -> int:
    option = options.get(name)
    return default if option is None else parse_integer(option.value, f"hashlimit: {name}")
