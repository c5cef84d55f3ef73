"""The buckets of `-m hashlimit` (xt_hashlimit.c, revision 3).

Linux counts credit in jiffies times a power of two; here it is in seconds of the rate's own time, which is the same
but for what jiffies round off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.match.base import Hotdrop
from emulator.kernel.netfilter.options import U32
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

MODES = ("srcip", "srcport", "dstip", "dstport")
SCALE = 1_000_000  # a rate is kept as the microseconds between two packets
BYTE_SHIFT = 4  # in bytes mode 16 bytes are the smallest amount
_CREDIT_PER_MICROSECOND = (250 << 39) // SCALE  # HZ * CREDITS_PER_JIFFY / XT_HASHLIMIT_SCALE_v2, for HZ 250 and 1000
_BYTE_SECOND = 4_194_304_000  # the credit of a second in bytes mode, for HZ 250 and 1000
_BUCKETS = 8_192  # of a table by default, on a machine with 4 GiB or more
_ENTRIES_PER_BUCKET = 8
_MOST_ENTRIES = 1_048_576
_U64 = (1 << 64) - 1
# Where ports lie in a protocol's header (`proto_ports_offset`): TCP, UDP, DCCP, ESP, AH, SCTP, UDP-Lite.
_PORT_OFFSETS = {6: 0, 17: 0, 33: 0, 50: 0, 51: 4, 132: 0, 136: 0}


class HashlimitConfig(Struct, frozen=True):
    """What a rule asks for. `period`: microseconds between two packets, or in bytes mode what 16 bytes cost.

    `gc_interval` and `expire` are milliseconds, `interval` seconds, `burst` packets or, in bytes mode, seconds.
    """

    mode: tuple[str, ...]
    period: int
    burst: int
    in_bytes: bool = False
    source_length: int = 32
    destination_length: int = 32
    size: int = 0
    maximum: int = 0
    gc_interval: int = 1_000
    expire: int = 1_000
    rate_match: bool = False
    interval: int = 0


def overflows(config: HashlimitConfig) -> bool:
    """Whether Linux refuses the rate: its credit does not fit in 64 bits, or in bytes mode costs nothing."""
    if config.in_bytes:
        return config.period * _BYTE_SECOND >> 32 == 0
    cost = config.period * _CREDIT_PER_MICROSECOND
    return cost * config.burst & _U64 < cost & _U64


def cost_to_bytes(cost: int) -> int:
    """Return the bytes a second that a cost of 16 bytes stands for."""
    return ((U32 // cost if cost else U32) - 1) << BYTE_SHIFT


Key = tuple[int, int, int, int]


class Bucket:
    """One source, destination or whatever the mode tells apart. `previous` is when its credit was last reckoned."""

    __slots__ = ("credit", "expires", "over", "previous", "refills", "seen")

    def __init__(self, config: HashlimitConfig, now: float) -> None:
        self.previous = now
        self.expires = now + config.expire / 1_000
        self.refills = config.burst  # of bytes mode: how often it may still be filled up when it is empty
        self.credit = float(_BYTE_SECOND if config.in_bytes else config.period * config.burst)
        self.seen = 0  # of rate-match mode: packets or bytes in this interval
        self.over = False  # of rate-match mode: whether the interval before had too many


class HashlimitTable:
    """All buckets of one name. It works by the rule that made it; a rule's own mode says only what it counts."""

    __slots__ = ("_buckets", "_collected", "_config", "_maximum")

    def __init__(self, config: HashlimitConfig, now: float) -> None:
        self._config = config
        self._buckets: dict[Key, Bucket] = {}
        self._collected = now
        size = min(config.size, _MOST_ENTRIES) or _BUCKETS
        most = min(config.maximum, _MOST_ENTRIES)
        self._maximum = max(most, size) if most else _ENTRIES_PER_BUCKET * size

    def __len__(self) -> int:
        return len(self._buckets)

    def is_under(self, rule: HashlimitConfig, skb: Skb, now: float) -> bool:
        """Charge a packet to its bucket; whether the bucket had the credit. Hotdrop if there is no room for it."""
        self._collect(now)
        config, key = self._config, self._key(skb)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._maximum:
                raise Hotdrop("hashlimit")
            bucket = self._buckets[key] = Bucket(config, now)
        else:
            bucket.expires = now + config.expire / 1_000
            _refill(bucket, config, now)
        size = len(skb.data) - skb.network
        if rule.rate_match:
            bucket.seen += size if rule.in_bytes else 1
            return not bucket.over and bucket.seen <= _burst(config)
        cost = float(_byte_cost(bucket, config, size) if rule.in_bytes else _cost(config))
        if bucket.credit < cost:
            return False
        bucket.credit -= cost
        return True

    def _key(self, skb: Skb) -> Key:
        config = self._config
        mode = config.mode
        saddr = skb.saddr & MASKS[config.source_length] if "srcip" in mode else 0
        daddr = skb.daddr & MASKS[config.destination_length] if "dstip" in mode else 0
        if "srcport" not in mode and "dstport" not in mode:
            return saddr, daddr, 0, 0
        sport, dport = _ports(skb)
        return saddr, daddr, sport if "srcport" in mode else 0, dport if "dstport" in mode else 0

    def _collect(self, now: float) -> None:
        """Forget the expired, as the periodic look for them would have done."""
        interval = self._config.gc_interval / 1_000
        if now < self._collected + interval:
            return
        self._collected += (now - self._collected) // interval * interval
        collected = self._collected
        for key in [key for key, bucket in self._buckets.items() if bucket.expires <= collected]:
            del self._buckets[key]


def _ports(skb: Skb) -> tuple[int, int]:
    """Return what lies where ports are, of protocols that have them; so also in a later fragment."""
    offset = _PORT_OFFSETS.get(skb.protocol)
    if offset is None:
        return 0, 0
    data, at = skb.data, skb.transport + offset
    if len(data) < at + 4:
        raise Hotdrop("hashlimit")
    return data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]


def _refill(bucket: Bucket, config: HashlimitConfig, now: float) -> None:
    """Add the credit of the time that went by (`rateinfo_recalc`)."""
    passed = now - bucket.previous
    if config.rate_match:
        if passed >= config.interval:
            bucket.previous = now
            bucket.over = bucket.seen * config.interval > passed * _rate(config)
            bucket.seen = 0
        return
    bucket.previous = now
    if config.in_bytes:
        bucket.credit = min(bucket.credit + passed * _BYTE_SECOND, float(_BYTE_SECOND))
    else:
        bucket.credit = min(bucket.credit + passed * SCALE, float(config.period * config.burst))


def _cost(config: HashlimitConfig) -> int:
    return config.period * _BYTE_SECOND >> 32 if config.in_bytes else config.period


def _byte_cost(bucket: Bucket, config: HashlimitConfig, size: int) -> int:
    """Return what a packet costs; an empty bucket is filled up from the burst (`hashlimit_byte_cost`)."""
    cost = min(((size >> BYTE_SHIFT) + 1) * _cost(config), _BYTE_SECOND)
    if bucket.credit < cost and bucket.refills:
        bucket.refills -= 1
        bucket.credit = float(_BYTE_SECOND)
    return cost


def _rate(config: HashlimitConfig) -> int:
    """Return the packets or bytes a second of rate-match mode (`user2rate`)."""
    return cost_to_bytes(config.period) if config.in_bytes else SCALE // config.period


def _burst(config: HashlimitConfig) -> int:
    """Return the packets or bytes that an interval may have in rate-match mode."""
    rate = _rate(config)
    if config.in_bytes:
        return config.burst * rate if config.burst else rate
    return config.burst + rate
