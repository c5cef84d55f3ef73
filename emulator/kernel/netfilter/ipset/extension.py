"""What an element may carry: timeout, counters, comment, skbinfo (include/linux/netfilter/ipset/ip_set.h)."""

from __future__ import annotations

from math import inf

from msgspec import Struct

from emulator.kernel.netfilter.ipset.error import IpsetError

_NO_TIMEOUT = "Timeout cannot be used: set was created without timeout support"
_NO_COUNTERS = "Packet/byte counters cannot be used: set was created without counter support"
_NO_COMMENT = "Comment cannot be used: set was created without comment support"
_NO_SKBINFO = "Skbinfo mapping cannot be used: set was created without skbinfo support"
_COMMENT_OVERHEAD = 17  # struct rcu_head, and the string's NUL


class Entry:
    """What one element carries. Elements of a set without extensions share the constants PLAIN and EXCEPTED.

    `deadline` is the time after which the element is not there, infinite for a permanent one.
    """

    __slots__ = ("bytes", "comment", "deadline", "mark", "mark_mask", "nomatch", "packets", "priority", "queue")

    def __init__(self, *, nomatch: bool = False) -> None:
        self.deadline = inf
        self.packets = 0
        self.bytes = 0
        self.comment = ""
        self.mark = 0
        self.mark_mask = 0
        self.priority = 0
        self.queue = 0
        self.nomatch = nomatch


PLAIN = Entry()
EXCEPTED = Entry(nomatch=True)


class Given(Struct, frozen=True):
    """What a command says of an element; None is what it does not say."""

    timeout: int | None = None
    packets: int | None = None
    bytes: int | None = None
    comment: str | None = None
    mark: tuple[int, int] | None = None
    priority: int | None = None
    queue: int | None = None
    nomatch: bool = False
    wildcard: bool = False  # of hash:net,iface: any interface whose name begins so


NOTHING = Given()


class Extensions(Struct, frozen=True):
    """Which a set was created with. `timeout` is the default in seconds, None without support."""

    timeout: int | None = None
    counters: bool = False
    comment: bool = False
    skbinfo: bool = False

    @property
    def any(self) -> bool:
        """Whether elements carry anything."""
        return self.timeout is not None or self.counters or self.comment or self.skbinfo

    def header(self) -> list[tuple[str, str]]:
        """Return the options that make a set with these, as (name, value)."""
        options = [] if self.timeout is None else [("timeout", str(self.timeout))]
        return options + [(name, "") for name in ("counters", "comment", "skbinfo") if getattr(self, name)]

    def check(self, given: Given) -> None:
        """Refuse what the set does not support (ip_set_get_extensions)."""
        if given.timeout is not None and self.timeout is None:
            raise IpsetError(_NO_TIMEOUT)
        if not self.counters and (given.packets is not None or given.bytes is not None):
            raise IpsetError(_NO_COUNTERS)
        if given.comment is not None and not self.comment:
            raise IpsetError(_NO_COMMENT)
        if not self.skbinfo and not (given.mark is None and given.priority is None and given.queue is None):
            raise IpsetError(_NO_SKBINFO)

    def fill(self, entry: Entry, given: Given, now: float) -> None:
        """Write what a command gives into an element, new or known: counters that are not given stay."""
        if self.timeout is not None:
            timeout = self.timeout if given.timeout is None else given.timeout
            entry.deadline = now + timeout if timeout else inf
        if given.packets is not None:
            entry.packets = given.packets
        if given.bytes is not None:
            entry.bytes = given.bytes
        entry.comment = given.comment or ""
        entry.mark, entry.mark_mask = given.mark or (0, 0)
        entry.priority = given.priority or 0
        entry.queue = given.queue or 0

    def size(self, size: int, alignment: int) -> int:
        """Return how many bytes an element of `size` bytes takes with its extensions (ip_set_elem_len)."""
        if self.counters:
            size = _align(size, 8) + 16
        if self.timeout is not None:
            size = _align(size, 8) + 8
        if self.skbinfo:
            size = _align(size, 4) + 16
        if self.comment:
            size = _align(size, 8) + 8
        return _align(size, alignment)

    def fields(self, entry: Entry, now: float) -> list[tuple[str, str]]:
        """Return what is printed behind an element, as (name, value)."""
        fields = []
        if self.timeout is not None:
            fields.append(("timeout", str(seconds_left(entry, now))))
        if entry.nomatch:
            fields.append(("nomatch", ""))
        if self.counters:
            fields += [("packets", str(entry.packets)), ("bytes", str(entry.bytes))]
        if self.comment and entry.comment:
            fields.append(("comment", f'"{entry.comment}"'))
        if self.skbinfo:
            if entry.mark or entry.mark_mask:
                mask = "" if entry.mark_mask == 0xFFFFFFFF else f"/{entry.mark_mask:#x}"
                fields.append(("skbmark", f"{entry.mark:#x}{mask}"))
            if entry.priority:
                fields.append(("skbprio", f"{entry.priority >> 16:x}:{entry.priority & 0xFFFF:x}"))
            if entry.queue:
                fields.append(("skbqueue", str(entry.queue)))
        return fields


def seconds_left(entry: Entry, now: float) -> int:
    """Return a timeout as it is listed: whole seconds, at least one, and 0 for a permanent element."""
    return 0 if entry.deadline == inf else int(entry.deadline - now) or 1


def comment_size(entry: Entry) -> int:
    """Return the bytes that an element's comment takes."""
    return len(entry.comment.encode()) + _COMMENT_OVERHEAD if entry.comment else 0


def _align(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
