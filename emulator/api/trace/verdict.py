"""The last line of a rendered trace: how the packet fared, where it was lost if it was, and why.

Pure, as `trace_text`, whose lines stand above it.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.api.messages import TraceOutcome, TraceStep
from emulator.api.problem import printable
from emulator.api.trace.rule import element_comment, rule_comment
from emulator.api.trace.text import Line, Names, Style, counted, is_arp, named, socket_name

_WORDS = {TraceOutcome.REFUSED: "refused", TraceOutcome.TIMEOUT: "not answered", TraceOutcome.FAILED: "not sent"}


def verdict(steps: Sequence[TraceStep], outcome: TraceOutcome, message: str, names: Names, *, hint: str = "") -> Line:
    """Return how a packet fared. `steps` are in order; `message` is what its sender was told.

    `hint` is what the caller knows of a destination that did not answer: `service default/web has no port 81/TCP`.
    """
    own = [step for step in steps if not is_arp(step)]
    if outcome is TraceOutcome.REPLIED:
        nodes = len({step.machine for step in own})
        rewrites = sum(step.kind == "nat" for step in own)
        text = f"answered ({message}): {len(own)} steps on {counted(nodes, 'node')}, {counted(rewrites, 'rewrite')}"
        return Line(0, Style.GOOD, printable(f"verdict: {text}"))
    clauses = [f"verdict: {_words(own, outcome, names)} ({message})", _loss(own, outcome, names), hint]
    return Line(0, Style.BAD, printable("; ".join(clause for clause in clauses if clause)))


def _words(own: Sequence[TraceStep], outcome: TraceOutcome, names: Names) -> str:
    """Say how it ended; a packet that reached its socket was not lost."""
    last = own[-1] if own else None
    if outcome is TraceOutcome.TIMEOUT and last is not None and last.kind == "deliver":
        socket = named(socket_name(last.detail), names)
        return f"delivered to {socket} at {_place(last, names)}, but the program did not answer"
    return _WORDS[outcome]


def _loss(own: Sequence[TraceStep], outcome: TraceOutcome, names: Names) -> str:
    """Say where the packet ended; empty where it was delivered or nobody saw it."""
    drop = next((index for index in reversed(range(len(own))) if own[index].kind == "drop"), None)
    if drop is not None:
        step = own[drop]
        why = f"{step.detail.get('reason')}: {step.detail.get('explanation')}"
        comment = _comment(own[:drop], step)
        return f"dropped at {_place(step, names)}, {why}" + (f' ("{comment}")' if comment else "")
    if outcome is not TraceOutcome.TIMEOUT or not own or own[-1].kind == "deliver":
        return ""
    last = own[-1]
    silent = last.kind == "neighbour" and not last.detail.get("mac")
    return f"last seen at {_place(last, names)}" + (
        f", where nobody answers ARP for {last.detail.get('address')}" if silent else ""
    )


def _comment(before: Sequence[TraceStep], drop: TraceStep) -> str:
    """Return the comment of the rule that dropped the packet, empty if it was no rule or it has none.

    A rule of nftables may drop what an element of a map is for, or have been reached by one: that has a comment too.
    """
    same = ("table", "chain")
    rules = [
        step for step in before if step.kind == "rule" and (step.machine, step.netns) == (drop.machine, drop.netns)
    ]
    if not rules:
        return ""
    details = [{key: str(value) for key, value in step.detail.items()} for step in rules[-2:]]
    last = details[-1]
    its_own = all(last.get(key) == str(drop.detail.get(key)) for key in same)
    if not its_own or last.get("number") != str(drop.detail.get("rule")):
        return ""
    led_here = next((each for each in details if each.get("verdict") == last.get("chain")), last)
    return rule_comment(last) or element_comment(last) or element_comment(led_here)


def _place(step: TraceStep, names: Names) -> str:
    owner = names.namespaces.get(step.netns)
    return f"step {step.number} on {step.machine} in netns {step.netns}" + (f" ({owner})" if owner else "")
