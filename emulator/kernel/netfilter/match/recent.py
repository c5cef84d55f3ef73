"""`-m recent`: whether an address was seen lately, in lists that rules share by name (xt_recent.c)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import U32, parse_address, parse_integer
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_ACTIONS = ("--set", "--rcheck", "--update", "--remove")
_LISTED = {"--set": "SET", "--rcheck": "CHECK", "--update": "UPDATE", "--remove": "REMOVE"}
_MAXIMUM_ENTRIES = 100  # module parameters ip_list_tot and ip_pkt_list_tot
_MAXIMUM_STAMPS = 20


class Entry:
    """When an address was seen, and the TTL of the last packet."""

    __slots__ = ("stamps", "ttl")

    def __init__(self, ttl: int, now: float) -> None:
        self.ttl = ttl
        self.stamps: deque[float] = deque([now], maxlen=_MAXIMUM_STAMPS)


class RecentList:
    """One list by name: address to entry, the one used longest ago first."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}

    def add(self, address: int, ttl: int, now: float) -> None:
        """Enter an address; the oldest one makes room."""
        if len(self.entries) >= _MAXIMUM_ENTRIES:
            del self.entries[next(iter(self.entries))]
        self.entries[address] = Entry(ttl, now)

    def touch(self, address: int, entry: Entry, ttl: int, now: float) -> None:
        """Note that an address was seen again."""
        entry.stamps.append(now)
        entry.ttl = ttl
        del self.entries[address]
        self.entries[address] = entry

    def reap(self, before: float, kept: int | None) -> None:
        """Forget the address used longest ago, if that was before a time; not the one being updated."""
        oldest = next(iter(self.entries), None)
        if oldest is not None and oldest != kept and self.entries[oldest].stamps[-1] < before:
            del self.entries[oldest]


@dataclass(frozen=True, slots=True)
class Recent(Match):
    """`-m recent --rcheck --seconds 10800 --reap --name X --rsource`; `action` is one of the four."""

    name = "recent"
    options: ClassVar[Mapping[str, int]] = {
        **dict.fromkeys(_ACTIONS, 0),
        "--seconds": 1,
        "--hitcount": 1,
        "--rttl": 0,
        "--reap": 0,
        "--name": 1,
        "--mask": 1,
        "--rsource": 0,
        "--rdest": 0,
    }
    invertible = frozenset(_ACTIONS)
    has_memory = True

    action: str
    list_name: str = "DEFAULT"
    seconds: int = 0
    hitcount: int = 0
    same_ttl: bool = False
    reap: bool = False
    mask: int = U32
    destination: bool = False
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Recent:
        action = options.only_one(*_ACTIONS)
        if action is None:
            raise RuleError("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'")
        seconds, hitcount = options.get("--seconds"), options.get("--hitcount")
        name, mask = options.get("--name"), options.get("--mask")
        if options.has("--reap") and seconds is None:
            raise RuleError('recent: option "--reap" also requires "--seconds"')
        if action in ("--set", "--remove") and (seconds or hitcount):
            raise RuleError(f"recent: --seconds and --hitcount do not go with {action}")
        options.only_one("--rsource", "--rdest")
        return cls(
            action,
            name.value if name else "DEFAULT",
            parse_integer(seconds.value, "recent: --seconds", 1) if seconds else 0,
            parse_integer(hitcount.value, "recent: --hitcount", 1, _MAXIMUM_STAMPS) if hitcount else 0,
            options.has("--rttl"),
            options.has("--reap"),
            parse_address(mask.value) if mask else U32,
            options.has("--rdest"),
            options.require(action).inverted,
        )

    def format(self) -> str:
        words = [f"{'! ' if self.inverted else ''}{self.action}"]
        if self.seconds:
            words.append(f"--seconds {self.seconds}")
        if self.reap:
            words.append("--reap")
        if self.hitcount:
            words.append(f"--hitcount {self.hitcount}")
        if self.same_ttl:
            words.append("--rttl")
        words.append(f"--name {self.list_name} --mask {format_ipv4(self.mask)}")
        words.append("--rdest" if self.destination else "--rsource")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = [f"{'! ' if self.inverted else ''}recent: {_LISTED[self.action]}"]
        if self.seconds:
            words.append(f"seconds: {self.seconds}")
        if self.reap:
            words.append("reap")
        if self.hitcount:
            words.append(f"hit_count: {self.hitcount}")
        if self.same_ttl:
            words.append("TTL-Match")
        side = "dest" if self.destination else "source"
        return " ".join([*words, f"name: {self.list_name} side: {side} mask: {format_ipv4(self.mask)}"])

    def matches(self, skb: Skb, context: Context) -> bool:
        now = context.netns.kernel.now
        recent = context.netfilter.recent.setdefault(self.list_name, RecentList())
        address = (skb.daddr if self.destination else skb.saddr) & self.mask
        ttl = skb.data[skb.network + 8]
        if skb.out_link is not None and skb.socket is None:  # as it was before forwarding
            ttl += 1
        entry = recent.entries.get(address)
        if entry is not None and self.same_ttl and entry.ttl != ttl:
            entry = None
        if entry is None:
            if self.action != "--set":
                return self.inverted
            recent.add(address, ttl, now)
            return not self.inverted
        if self.action == "--set":
            recent.touch(address, entry, ttl, now)
            return not self.inverted
        if self.action == "--remove":
            del recent.entries[address]
            return not self.inverted
        result = self._seen(entry, now) is not self.inverted
        updates = self.action == "--update" and result
        if self.reap:
            recent.reap(now - self.seconds, address if updates else None)
        if updates:
            recent.touch(address, entry, ttl, now)
        return result

    def _seen(self, entry: Entry, now: float) -> bool:
        hits = sum(1 for stamp in entry.stamps if not self.seconds or stamp >= now - self.seconds)
        return hits >= (self.hitcount or 1)
