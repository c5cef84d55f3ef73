"""What a command is about: a family, a table and the name of something in it."""

from __future__ import annotations

from msgspec import Struct

from emulator.kernel.netfilter.nft.script.lexer import QUOTED, WORD, Tokens

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_REFUSED = frozenset({"arp", "bridge", "netdev"})


class Target(Struct, frozen=True):
    """The names, and the tokens that they stand at."""

    family: str
    table: str
    table_at: int
    name: str = ""
    name_at: int = -1

    @classmethod
    def read(cls, tokens: Tokens, names: int) -> Target:
        """Read a family if there is one, and one name or two."""
        family, family_at = "ip", -1
        if tokens.words[tokens.at] in FAMILIES and tokens.kind == WORD and _another_name(tokens, names):
            family_at, family = tokens.at, tokens.take()
            if family in _REFUSED:
                raise tokens.error_at(f"family {family} is not supported here", family_at)
        table_at, table = tokens.at, tokens.name()
        if names == 1:
            return cls(family, table, table_at)
        name_at = tokens.at
        return cls(family, table, table_at, tokens.name(), name_at)


def _another_name(tokens: Tokens, names: int) -> bool:
    """Whether a word that could be a family or a table's name is followed by as many names as are needed."""
    index = tokens.at + names
    return index < len(tokens.kinds) and tokens.kinds[tokens.at + 1] in (WORD, QUOTED)


def refused_family(tokens: Tokens, target: Target) -> None:
    """Refuse the families whose packets are not seen here, by name."""
    if target.family in _REFUSED:
        raise tokens.error_at(f"family {target.family} is not supported here", target.table_at - 1)
