"""What `-j TRACE` leaves behind: one event for each rule that a marked packet meets, and for the policy at the end.

Rules are named as the kernel's log names them, `nat:KUBE-SERVICES:rule:57`. What counts as an event is as in nftables,
which iptables now is: a rule that matched, whatever it did, and the policy; not the end of a user chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.packet_words import packet_words

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.iptables.chain import Chain
    from emulator.kernel.skb import Skb


class TraceEvent(Struct, frozen=True):
    """One event. `kind` is rule or policy; the policy's `number` is the one behind the last rule.

    `verdict`: ACCEPT, DROP, RETURN, CONTINUE, JUMP:CHAIN or GOTO:CHAIN. `packet` as `-j LOG` writes it.
    """

    time: float
    table: str
    chain: str
    kind: str
    number: int
    verdict: str
    rule: str
    packet: str

    @property
    def place(self) -> str:
        """Return `table:chain:kind:number`."""
        return f"{self.table}:{self.chain}:{self.kind}:{self.number}"

    def __str__(self) -> str:
        return f"TRACE: {self.place} {self.packet}"


def trace_rule(chain: Chain, number: int, verdict: str, skb: Skb, context: Context) -> None:
    """Note a rule that a marked packet matched."""
    text = f"-A {chain.name} {chain.rules[number - 1].spec.format()}".rstrip()
    _note(chain, "rule", number, verdict, text, skb, context)


def trace_policy(chain: Chain, verdict: str, skb: Skb, context: Context) -> None:
    """Note that a base chain's policy decided on a marked packet."""
    _note(chain, "policy", len(chain.rules) + 1, verdict, "", skb, context)


def _note(chain: Chain, kind: str, number: int, verdict: str, rule: str, skb: Skb, context: Context) -> None:
    now, packet = context.netns.kernel.now, packet_words(skb)
    event = TraceEvent(now, chain.table.name, chain.name, kind, number, verdict, rule, packet)
    context.netfilter.trace_events.append(event)
