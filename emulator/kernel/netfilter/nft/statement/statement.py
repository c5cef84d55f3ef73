"""What rules are made of: the base of all statements, and those that need few words.

`bind` compiles a statement to a step. A step returns None to go on with the rule, NO_MATCH to leave it, or a verdict.
What a statement remembers (a counter, a bucket) is made by `start` for each rule and handed to `bind` and `format`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.conntrack.tuple import TCP
from emulator.kernel.netfilter.nft.element import Counted
from emulator.kernel.netfilter.nft.statement.verdict import CONTINUE, DROP, NO_MATCH, Outcome
from emulator.kernel.netfilter.nft.symbols import ICMP_CODES
from emulator.kernel.netfilter.target.log import Log
from emulator.kernel.netfilter.target.reject import Reject as RejectTarget
from emulator.kernel.netfilter.value import AbstractStructMeta
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb

Step = Callable[["Skb", "Context"], Outcome | None]
Constant = int | str  # an address, or the name of a chain
AfterDrop = Callable[["Skb", "Context"], None]


class Statement(Struct, metaclass=AbstractStructMeta, frozen=True):
    """A statement. `terminal`: nothing may stand behind it."""

    @abstractmethod
    def format(self, state: object = None, *, stateless: bool = False) -> str:
        """Print it as a listing does."""

    @abstractmethod
    def json(self, state: object = None, *, stateless: bool = False) -> object:
        """Return it as libnftables' JSON has it."""

    @abstractmethod
    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        """Compile it; None for one that does nothing."""

    def start(self, netfilter: Netfilter) -> object:
        """Return what it remembers in a new rule, None if nothing."""
        return None

    @property
    def terminal(self) -> bool:
        """Whether the rule ends here."""
        return False

    @property
    def acts(self) -> bool:
        """Whether there is a step of it at all."""
        return True

    @property
    def needs_conntrack(self) -> bool:
        """Whether the kernel switches connection tracking on for it."""
        return False

    @property
    def nat_hooks(self) -> frozenset[str]:
        """The hooks of nat chains that it may stand in; empty if it may stand anywhere."""
        return frozenset()

    def sets(self) -> tuple[NftSet, ...]:
        """Return the anonymous sets that it has."""
        return ()

    def set_names(self) -> tuple[str, ...]:
        """Return the names of the sets that it looks into."""
        return ()

    def chains(self) -> tuple[str, ...]:
        """Return the chains that it may go to, those in named maps aside."""
        return ()

    def counters(self) -> tuple[str, ...]:
        """Return the named counters that it uses."""
        return ()

    def constants(self) -> tuple[Constant, ...]:
        """Return the addresses, and the chains it goes to, in which rules of one form differ (`script/form.py`)."""
        return ()

    def with_constants(self, values: Iterator[Constant]) -> Statement:
        """Return it with other constants: as many as it has are taken."""
        return self


class VerdictStatement(Statement, frozen=True):
    """`accept`, `jump services`."""

    outcome: Outcome

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        return self.outcome.format()

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return self.outcome.json()

    @property
    def terminal(self) -> bool:
        return True

    @property
    def acts(self) -> bool:
        return self.outcome.kind != CONTINUE

    def chains(self) -> tuple[str, ...]:
        return (self.outcome.chain,) if self.outcome.chain else ()

    def constants(self) -> tuple[Constant, ...]:
        return self.chains()

    def with_constants(self, values: Iterator[Constant]) -> Statement:
        outcome = self.outcome
        return VerdictStatement(Outcome(outcome.kind, str(next(values)))) if outcome.chain else self

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        outcome = self.outcome
        return (lambda skb, context: outcome) if self.acts else None


class Counter(Statement, frozen=True):
    """`counter packets 5 bytes 100`: what it begins with."""

    packets: int = 0
    bytes: int = 0

    def start(self, netfilter: Netfilter) -> object:
        return Counted(self.packets, self.bytes)

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        counted = state if isinstance(state, Counted) else Counted(self.packets, self.bytes)
        return counted.format(stateless=stateless)

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        counted = state if isinstance(state, Counted) else Counted(self.packets, self.bytes)
        return {"counter": counted.json(stateless=stateless)}

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        assert isinstance(state, Counted)
        return count_in(state)


def count_in(counted: Counted) -> Step:
    """Return a step that counts packets, with their bytes from the network header on."""

    def count(skb: Skb, context: Context) -> Outcome | None:
        counted.packets += 1
        counted.bytes += len(skb.data) - skb.network
        return None

    return count


class NamedCounter(Statement, frozen=True):
    """`counter name "web"`."""

    name: str

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        return f'counter name "{self.name}"'

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return {"counter": self.name}

    def counters(self) -> tuple[str, ...]:
        return (self.name,)

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        return count_in(table.counters[self.name].counted)


class Notrack(Statement, frozen=True):
    """`notrack`."""

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        return "notrack"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return {"notrack": None}

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        def notrack(skb: Skb, context: Context) -> Outcome | None:
            if skb.ct is None and skb.ctinfo is not CtInfo.UNTRACKED:
                skb.ctinfo = CtInfo.UNTRACKED
            return None

        return notrack


class Rejected(Outcome, frozen=True):
    """A drop whose sender is told, once the drop is counted."""

    answer: AfterDrop | None = None


_TCP_RESET = "tcp reset"
_ICMP_ANSWERS = {
    "net-unreachable": "icmp-net-unreachable",
    "host-unreachable": "icmp-host-unreachable",
    "prot-unreachable": "icmp-proto-unreachable",
    "port-unreachable": "icmp-port-unreachable",
    "net-prohibited": "icmp-net-prohibited",
    "host-prohibited": "icmp-host-prohibited",
    "admin-prohibited": "icmp-admin-prohibited",
}
# What ICMPX means in IPv4 (`nft_reject_icmp_code`).
_ICMPX_ANSWERS = {
    "no-route": "icmp-net-unreachable",
    "port-unreachable": "icmp-port-unreachable",
    "host-unreachable": "icmp-host-unreachable",
    "admin-prohibited": "icmp-admin-prohibited",
}


class Reject(Statement, frozen=True):
    """`reject with icmp host-unreachable`; `kind` is icmp, icmpx, icmpv6 or "tcp reset". `plain`: it is the default."""

    kind: str = "icmp"
    code: str = "port-unreachable"
    plain: bool = True

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        if self.plain:
            return "reject"
        return f"reject with {self.kind} {self.code}" if self.code else f"reject with {self.kind}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return {"reject": {"type": self.kind, "expr": self.code} if self.code else {"type": self.kind}}

    @property
    def terminal(self) -> bool:
        return True

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        if self.kind == _TCP_RESET:
            answer = RejectTarget("tcp-reset")
            reset = Rejected(DROP, "", answer.after_drop)
            return lambda skb, context: reset if skb.protocol == TCP else NO_MATCH
        if self.kind == "icmpv6":
            return lambda skb, context: NO_MATCH
        answers = _ICMPX_ANSWERS if self.kind == "icmpx" else _ICMP_ANSWERS
        answer = RejectTarget(answers[self.code])
        rejected = Rejected(DROP, "", answer.after_drop)
        return lambda skb, context: rejected


def reject_codes() -> tuple[str, ...]:
    """Return the codes that `reject with icmp` knows."""
    return tuple(name for name in ICMP_CODES if name in _ICMP_ANSWERS)


_LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7, "audit": 8}
_WARN = 4


class LogStatement(Statement, frozen=True):
    """`log prefix "in: " level debug`. The lines are in `Netfilter.log`; with a group they go to nobody here."""

    prefix: str = ""
    level: str = ""
    flags: tuple[str, ...] = ()
    group: int | None = None
    snaplen: int = 0
    queue_threshold: int = 0

    @staticmethod
    def levels() -> frozenset[str]:
        """Return the names of the levels."""
        return frozenset(_LEVELS)

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        words = ["log"]
        if self.prefix:
            words.append(f'prefix "{self.prefix}"')
        if self.group is not None:
            words.append(f"group {self.group}")
        if self.snaplen:
            words.append(f"snaplen {self.snaplen}")
        if self.queue_threshold:
            words.append(f"queue-threshold {self.queue_threshold}")
        if self.level and _LEVELS[self.level] != _WARN:
            words.append(f"level {self.level}")
        return " ".join([*words, *self._flag_words()])

    def _flag_words(self) -> list[str]:
        if "all" in self.flags:
            return ["flags all"]
        words: list[str] = []
        tcp = [flag.removeprefix("tcp ") for flag in self.flags if flag.startswith("tcp ")]
        if tcp:
            words.append(f"flags tcp {','.join(tcp)}")
        return words + [f"flags {flag}" for flag in self.flags if not flag.startswith("tcp ")]

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        values: dict[str, object] = {}
        if self.prefix:
            values["prefix"] = self.prefix
        if self.group is not None:
            values["group"] = self.group
        if self.snaplen:
            values["snaplen"] = self.snaplen
        if self.queue_threshold:
            values["queue-threshold"] = self.queue_threshold
        if self.level and _LEVELS[self.level] != _WARN:
            values["level"] = self.level
        if self.flags:
            values["flags"] = self.flags[0] if len(self.flags) == 1 else list(self.flags)
        return {"log": values or None}

    @property
    def acts(self) -> bool:
        return self.group is None and self.level != "audit"

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        if not self.acts:
            return None
        target = Log(self.prefix, _LEVELS[self.level] if self.level else _WARN)

        def log(skb: Skb, context: Context) -> Outcome | None:
            target.apply(skb, context)
            return None

        return log
