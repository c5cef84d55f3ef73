"""What reading the parts of a script has in common: its tokens, the table in question, and the machine's links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.nft.datatype import IFINDEX, Datatype, LinkIndex, Scalar
from emulator.kernel.netfilter.nft.error import NftError, ValueProblem
from emulator.kernel.netfilter.nft.script.lexer import MARK, QUOTED, Tokens

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.table import NftTable

# What nft knows and we do not: (words of the language) -> refused by name.
REFUSED = frozenset(
    {
        "queue", "tproxy", "synproxy", "dup", "fwd", "flow", "meter", "quota", "socket", "rt", "exthdr", "ipsec",
        "osf", "xt", "vlan", "arp", "dccp", "esp", "ah", "comp", "udplite", "igmp", "gre", "gretap", "geneve", "vxlan",
        "frag", "hbh", "mh", "dst", "symhash", "secmark", "last",
    }
)  # fmt: skip


class Scope(Struct):
    """Where something is read: the tokens, the namespace and the table."""

    tokens: Tokens
    netfilter: Netfilter
    table: NftTable

    def refuse(self, what: str, first: int, last: int | None = None) -> NftError:
        """Return the error that something of nft's is not to be had here."""
        return self.tokens.error_at(f"{what} is not supported here", first, last)

    def constant(self, kind: Datatype) -> Scalar:
        """Read one constant of a type."""
        tokens = self.tokens
        at = tokens.at
        if tokens.kinds[at] > QUOTED:
            raise tokens.unexpected()
        tokens.at = at + 1
        return self.value(kind, tokens.words[at], at)

    def value(self, kind: Datatype, word: str, index: int) -> Scalar:
        """Read a word as a constant of a type."""
        if kind is IFINDEX:
            return self._link(word, index)
        try:
            return kind.parse(word)
        except ValueProblem as problem:
            raise self.tokens.error_at(str(problem), index) from None

    def _link(self, word: str, index: int) -> Scalar:
        netns = self.netfilter.netns
        if word.isdigit():
            link = netns.link_by_index(int(word))
            return int(word) if link is None else LinkIndex(link.index, link.name)
        link = netns.links.get(word)
        if link is None:
            raise self.tokens.error_at("Interface does not exist", index)
        return LinkIndex(link.index, link.name)

    def number_value(self, kind: Datatype) -> int:
        """Read a constant that must be a number."""
        at = self.tokens.at
        value = self.constant(kind)
        if not isinstance(value, int):
            raise self.tokens.error_at("a number is needed here", at)
        return value

    def prefix_length(self, kind: Datatype) -> int:
        """Read what stands behind the slash of a prefix."""
        at = self.tokens.at
        length = self.tokens.number()
        if length > kind.bits:
            message = f"Prefix length {length} is invalid for type of {kind.bits} bits width"
            raise self.tokens.error_at(message, at - 2, at)
        return length

    def flags_value(self, kind: Datatype) -> int:
        """Read flags: `a,b`, `a | b`, `(a|b)`."""
        tokens = self.tokens
        if tokens.accept("("):
            value = self.flags_value(kind)
            tokens.expect(")")
        else:
            value = self.number_value(kind)
        while tokens.kind == MARK and tokens.word in (",", "|"):
            tokens.take()
            value |= self.number_value(kind)
        return value
