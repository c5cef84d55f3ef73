"""What a rule may say of a packet (nf_tables_core.c). A jump names its chain, which is found when a packet comes."""

from __future__ import annotations

from msgspec import Struct

ACCEPT, DROP, CONTINUE, RETURN, JUMP, GOTO, BREAK = "accept", "drop", "continue", "return", "jump", "goto", "break"
PLAIN = (ACCEPT, DROP, CONTINUE, RETURN)


class Outcome(Struct, frozen=True):
    """`accept`, `jump services`. BREAK is the rule's own: it does not match."""

    kind: str
    chain: str = ""

    def format(self) -> str:
        """Print it."""
        return f"{self.kind} {self.chain}" if self.chain else self.kind

    def json(self) -> object:
        """Return it as libnftables' JSON has it."""
        return {self.kind: {"target": self.chain} if self.chain else None}


NO_MATCH = Outcome(BREAK)
ACCEPTED = Outcome(ACCEPT)
DROPPED = Outcome(DROP)
