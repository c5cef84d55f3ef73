"""What one case is: a topology's name, settings, rules and timed steps. Values only, so that they shrink and print.

Steps speak of conversations, not of bytes: what a far host sends depends on what it saw come out (`hosts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

CLIENT, SERVER = 0, 1


@dataclass(frozen=True)
class Route:
    """One `ip route add`: words and nothing else; empty or 0 is "not given"."""

    destination: str
    kind: str = "unicast"
    via: str = ""
    link: str = ""
    table: int = 254
    metric: int = 0
    mtu: int = 0

    def words(self) -> str:
        """Return the words after `ip route add`."""
        parts = [self.kind, self.destination]
        parts += ["via", self.via] if self.via else []
        parts += ["dev", self.link] if self.link else []
        parts += ["table", str(self.table)]
        parts += ["metric", str(self.metric)] if self.metric else []
        parts += ["mtu", str(self.mtu)] if self.mtu else []
        return " ".join(parts)


@dataclass(frozen=True)
class PolicyRule:
    """One `ip rule add`."""

    priority: int
    table: int
    source: str = ""
    destination: str = ""
    mark: int = 0
    mask: int = 0xFFFFFFFF
    in_link: str = ""

    def words(self) -> str:
        """Return the words after `ip rule add`."""
        parts = ["priority", str(self.priority), "from", self.source or "all"]
        parts += ["to", self.destination] if self.destination else []
        parts += ["fwmark", f"{self.mark:#x}/{self.mask:#x}"] if self.mark else []
        parts += ["iif", self.in_link] if self.in_link else []
        return " ".join([*parts, "lookup", str(self.table)])


@dataclass(frozen=True)
class RuleLine:
    """One rule of a table: `-A chain`, each test, `-j` or `-g` and the target's words."""

    chain: str
    tests: tuple[str, ...]
    target: str

    def __str__(self) -> str:
        return " ".join(["-A", self.chain, *self.tests, *([self.target] if self.target else [])])


@dataclass(frozen=True)
class TableText:
    """One table: its policies by chain, its user chains, its rules in order."""

    name: str
    policies: tuple[tuple[str, str], ...] = ()
    chains: tuple[str, ...] = ()
    rules: tuple[RuleLine, ...] = ()

    def __str__(self) -> str:
        lines = [f"*{self.name}"]
        lines += [f":{chain} {policy} [0:0]" for chain, policy in self.policies]
        lines += [f":{chain} - [0:0]" for chain in self.chains]
        lines += [str(rule) for rule in self.rules]
        return "\n".join([*lines, "COMMIT", ""])


@dataclass(frozen=True)
class Conversation:
    """Two hosts that talk. `protocol` is the IP protocol's number; for ICMP `sport` is the identifier.

    `link` and `source` are the client's, `target` what it speaks to, which NAT may turn into another. Without a link
    the client is the machine itself: a UDP socket bound to `source` and `sport`.
    """

    protocol: int
    link: str
    source: str
    sport: int
    target: str
    dport: int


@dataclass(frozen=True)
class Cut:
    """How a packet is cut into fragments: lengths in units of 8 bytes, the order they are sent in, and flaws.

    `overlap` units of the piece before are sent again with each piece; the piece `missing` is not sent.
    """

    units: tuple[int, ...]
    order: tuple[int, ...]
    overlap: int = 0
    missing: int = -1


@dataclass(frozen=True)
class Shape:
    """What is unusual about a packet; `flaw` names one of `packet.FLAWS`."""

    ttl: int = 63
    tos: int = 0
    dont_fragment: bool = False
    options: str = ""
    flaw: str = ""
    cut: Cut | None = None
    lost: bool = False  # the far host does not get it, though it came out

    def __repr__(self) -> str:
        default = Shape()
        changed = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(default, name)]
        return f"Shape({', '.join(changed)})"


PLAIN = Shape()


@dataclass(frozen=True)
class TcpStep:
    """A TCP segment of one side. `seq` and `ack` are added to what would be right; `again` sends old numbers."""

    conversation: int
    side: int
    flags: int
    length: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 1000
    options: str = ""
    shape: Shape = PLAIN


@dataclass(frozen=True)
class DatagramStep:
    """A UDP datagram, or a packet of a protocol without ports."""

    conversation: int
    side: int
    length: int = 4
    shape: Shape = PLAIN


@dataclass(frozen=True)
class SctpStep:
    """An SCTP packet with one chunk; `tag` is added to the verification tag that would be right."""

    conversation: int
    side: int
    chunk: int
    tag: int = 0
    length: int = 0
    shape: Shape = PLAIN


@dataclass(frozen=True)
class EchoStep:
    """An echo request of the client or a reply of the server; `kind` other than 8 and 0 for odd queries."""

    conversation: int
    side: int
    kind: int
    sequence: int = 1
    length: int = 8
    shape: Shape = PLAIN


@dataclass(frozen=True)
class ErrorStep:
    """An ICMP error about the packet that came out `back` packets ago, from the host that it was for (or a router)."""

    back: int
    kind: int
    code: int
    info: int = 0
    quote: int = 28
    router: bool = False
    shape: Shape = PLAIN


@dataclass(frozen=True)
class ExpireStep:
    """`conntrack -U -p PROTOCOL -t SECONDS`: entries end without waiting; "" means all protocols."""

    protocol: str
    seconds: int = 0


@dataclass(frozen=True)
class DeleteStep:
    """`conntrack -D -p PROTOCOL`."""

    protocol: str


@dataclass(frozen=True)
class WaitStep:
    """Real time goes by."""

    seconds: float


@dataclass(frozen=True)
class CheckStep:
    """Entries, counters and sets are compared here, not at the end only."""


Talk = TcpStep | DatagramStep | SctpStep | EchoStep  # what a side of a conversation sends
Step = Talk | ErrorStep | ExpireStep | DeleteStep | WaitStep | CheckStep


@dataclass(frozen=True)
class Case:
    """All that is drawn."""

    topology: str
    sysctls: tuple[tuple[str, int], ...] = ()
    routes: tuple[Route, ...] = ()
    policy_rules: tuple[PolicyRule, ...] = ()
    sets: tuple[str, ...] = ()
    tables: tuple[TableText, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    steps: tuple[Step, ...] = field(default=())

    @property
    def rules_text(self) -> str:
        """The rules as `iptables-restore` reads them."""
        return "".join(str(table) for table in self.tables)
