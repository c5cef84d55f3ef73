"""`-m owner`: the user and group whose socket sent the packet (xt_owner.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.owner import is_orphan, owner_of

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_HOOKS = frozenset({Hook.OUTPUT, Hook.POSTROUTING})
_LARGEST = 0xFFFFFFFE  # -1 is nobody
# /etc/passwd and /etc/group of Debian, as far as they agree on the number.
_SHARED = {
    "root": 0, "daemon": 1, "bin": 2, "sys": 3, "games": 60, "man": 12, "lp": 7, "mail": 8, "news": 9, "uucp": 10,
    "proxy": 13, "www-data": 33, "backup": 34, "list": 38, "irc": 39,
}  # fmt: skip
_USERS = {**_SHARED, "sync": 4, "games": 5, "lp": 7, "_apt": 42, "nobody": 65534}
_GROUPS = {**_SHARED, "adm": 4, "tty": 5, "disk": 6, "nogroup": 65534}

Span = tuple[int, int, bool]  # lowest, highest, whether inverted


class Owner(Match, frozen=True):
    """`-m owner ! --uid-owner 1337 --gid-owner 1000-1999`; `exists`: whether a socket must be there.

    `supplementary`: the other groups of the program count too.
    """

    name = "owner"
    options: ClassVar[Mapping[str, int]] = {
        "--uid-owner": 1,
        "--gid-owner": 1,
        "--socket-exists": 0,
        "--suppl-groups": 0,
    }
    invertible = frozenset({"--uid-owner", "--gid-owner", "--socket-exists"})

    user: Span | None = None
    group: Span | None = None
    exists: bool | None = None
    supplementary: bool = False

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Owner:
        given = [*options.by_name]
        if options.has("--suppl-groups") and "--gid-owner" not in given[: given.index("--suppl-groups")]:
            raise RuleError('owner: Bad value for "--suppl-groups" option: "you need to use --gid-owner first"')
        exists = options.get("--socket-exists")
        match = cls(
            _parse_span(options, "--uid-owner", _USERS),
            _parse_span(options, "--gid-owner", _GROUPS),
            None if exists is None else not exists.inverted,
            options.has("--suppl-groups"),
        )
        if not given:
            raise RuleError("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required")
        return match

    def format(self) -> str:
        return self._words("--socket-exists", "--uid-owner", "--gid-owner", "--suppl-groups", numeric=True)

    def listing(self, names: Names) -> str:
        return self._words(
            "owner socket exists", "owner UID match", "owner GID match", "incl. suppl. groups", numeric=names.numeric
        )

    def _words(self, exists: str, user: str, group: str, supplementary: str, *, numeric: bool) -> str:
        words = [] if self.exists is None else [exists if self.exists else f"! {exists}"]
        for label, span, known in ((user, self.user, _USERS), (group, self.group, _GROUPS)):
            if span is not None:
                words.append(f"{'! ' if span[2] else ''}{label} {_format_span(span, {} if numeric else known)}")
        words += [supplementary] if self.supplementary else []
        return " ".join(words)

    def seen(self, skb: Skb, context: Context) -> str:
        if is_orphan(skb.socket):
            return "no socket"
        owner = owner_of(skb.socket)
        return "the kernel's socket" if owner is None else f"uid {owner.uid} gid {owner.gid}"

    def matches(self, skb: Skb, context: Context) -> bool:
        if is_orphan(skb.socket):
            asked = self.exists is True or self.supplementary  # this one cannot be inverted, and so cannot hold
            return not asked and all(span is None or span[2] for span in (self.user, self.group))
        if self.exists is False:
            return False
        owner = owner_of(skb.socket)
        if owner is None:  # the kernel's own
            return all(span is None or span[2] for span in (self.user, self.group))
        if self.user is not None and not _within((owner.uid,), self.user):
            return False
        groups = (owner.gid, *owner.groups) if self.supplementary else (owner.gid,)
        return self.group is None or _within(groups, self.group)


def _within(numbers: tuple[int, ...], span: Span) -> bool:
    low, high, inverted = span
    return any(low <= number <= high for number in numbers) is not inverted


def _parse_span(options: Options, name: str, known: Mapping[str, int]) -> Span | None:
    option = options.get(name)
    if option is None:
        return None
    text = option.value
    if text in known:
        return known[text], known[text], option.inverted
    first, _, last = text.replace(":", "-", 1).partition("-") if text[:1].isdigit() else (text, "", "")
    try:
        low = parse_integer(first, name, 0, _LARGEST)
        high = parse_integer(last, name, 0, _LARGEST) if first != text else low
    except RuleError:
        raise RuleError(f'owner: Bad value for "{name}" option: "{text}"') from None
    return low, high, option.inverted


def _format_span(span: Span, known: Mapping[str, int]) -> str:
    low, high, _ = span
    if low != high:
        return f"{low}-{high}"
    return next((name for name, number in known.items() if number == low), str(low))
