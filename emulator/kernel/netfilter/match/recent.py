"""`-m recent`: whether an address was seen lately, in lists that rules share by name (xt_recent.c)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match, Memory
from emulator.kernel.netfilter.options import U32, parse_host, parse_integer
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_ACTIONS = ("--set", "--rcheck", "--update", "--remove")
_LISTED = {"--set": "SET", "--rcheck": "CHECK", "--update": "UPDATE", "--remove": "REMOVE"}
_MAXIMUM_ENTRIES = 100  # module parameter ip_list_tot
_STAMPS = 32  # that an entry keeps, unless rules ask for more hits
_MAXIMUM_HITS = 0xFFFF
_LONGEST_NAME = 199


class Entry:
    """When an address was seen, and the TTL of the last packet."""

    __slots__ = ("stamps", "ttl")

    def __init__(self, ttl: int, now: float, size: int) -> None:
        self.ttl = ttl
        self.stamps: deque[float] = deque([now], maxlen=size)


class RecentList:
    """One list by name: address to entry, the one used longest ago first. `size` is how many stamps an entry keeps."""

    __slots__ = ("entries", "size")

    def __init__(self, size: int) -> None:
        self.entries: dict[int, Entry] = {}
        self.size = size

    def grow(self, size: int) -> None:
        """Have room for more hits, which a new rule wants to count: Linux forgets all addresses for it."""
        if size > self.size:
            self.size = size
            self.entries.clear()

    def add(self, address: int, ttl: int, now: float) -> None:
        """Enter an address; the oldest one makes room."""
        if len(self.entries) >= _MAXIMUM_ENTRIES:
            del self.entries[next(iter(self.entries))]
        self.entries[address] = Entry(ttl, now, self.size)

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


class Recent(Match, frozen=True):
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
        for other in ("--set", "--remove"):
            options.only_one("--rttl", other)
        seconds, hitcount = options.get("--seconds"), options.get("--hitcount")
        name, mask = options.get("--name"), options.get("--mask")
        if options.has("--reap") and seconds is None:
            raise RuleError('recent: option "--reap" also requires "--seconds".')
        if name is not None and (not name.value or "/" in name.value):
            raise KernelError("Invalid argument", f"recent: a list cannot be named `{name.value}'")
        hits = parse_integer(hitcount.value, "recent: --hitcount", 0, U32) if hitcount else 0
        if action in ("--set", "--remove") and (seconds or hits):
            raise KernelError("Invalid argument", f"recent: --seconds and --hitcount do not go with {action}")
        if hits > _MAXIMUM_HITS:
            raise KernelError("Invalid argument", f"recent: --hitcount is at most {_MAXIMUM_HITS}")
        return cls(
            action,
            name.value[:_LONGEST_NAME] if name else "DEFAULT",
            parse_integer(seconds.value, "recent: --seconds", 1) if seconds else 0,
            hits,
            options.has("--rttl"),
            options.has("--reap"),
            parse_host(mask.value) if mask else U32,
            _side(options),
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

    def memory(self) -> Memory:
        return "recent", self.list_name

    def prepare(self, netfilter: Netfilter) -> None:
        """Make the list when a rule that names it is loaded."""
        size = 1 << (self.hitcount - 1).bit_length() if self.hitcount else _STAMPS
        netfilter.recent.setdefault(self.list_name, RecentList(size)).grow(size)

    def matches(self, skb: Skb, context: Context) -> bool:
        now = context.netns.kernel.now
        recent = context.netfilter.recent[self.list_name]
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


def _side(options: Options) -> bool:
    """Whether it looks at the destination: of --rsource and --rdest the last one counts."""
    given = [name for name in options.by_name if name in ("--rsource", "--rdest")]
    return bool(given) and given[-1] == "--rdest"
