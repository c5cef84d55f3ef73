"""Prints a disagreement so that a person can repeat it: the case's parts, the frames, both sides, the difference."""

from __future__ import annotations

import difflib

from emulator.packet.describe import describe_frame
from tests.kernel_oracle.drawn.case import Case
from tests.kernel_oracle.drawn.play import Outcome


def report(case: Case, outcome: Outcome, command: str) -> str:
    """Return the text of a disagreement; `command` replays the case that it was shrunk from."""
    lines = [
        f"DISAGREEMENT about {outcome.kind} at step {outcome.step} (topology {case.topology})",
        f"  replay: {command}",
    ]
    if outcome.message:
        lines += ["message:", *(f"  {line}" for line in outcome.message.splitlines())]
    lines += [f"sysctl -w {name}={value}" for name, value in case.sysctls]
    lines += [f"ip route add {route.words()}" for route in case.routes]
    lines += [f"ip rule add {rule.words()}" for rule in case.policy_rules]
    lines += [f"ipset {line}" for line in case.sets]
    lines += ["iptables-restore:", *(f"  {line}" for line in case.rules_text.splitlines())]
    lines += ["conversations:", *(f"  {number}: {each}" for number, each in enumerate(case.conversations))]
    lines += ["steps:"]
    for number, step in enumerate(case.steps[: outcome.step + 1]):
        lines.append(f"  {number}: {step}")
        lines += [
            f"       {link} < {describe_frame(frame)}\n         {frame[:14].hex()} {frame[14:].hex()}"
            for at, link, frame in outcome.sent
            if at == number
        ]
    if outcome.kind in ("frames", "fault"):
        lines += ["the real kernel sent:", *(f"  {line}" for line in outcome.real or ["nothing"])]
        lines += ["the emulator sent:", *(f"  {line}" for line in outcome.emulated or ["nothing"])]
    elif outcome.kind in ("entries", "counters", "sets"):
        lines += ["the real kernel (-) and the emulator (+):"]
        difference = difflib.unified_diff(outcome.real, outcome.emulated, lineterm="", n=1)
        lines += [f"  {line}" for line in list(difference)[2:]]
    return "\n".join(lines)
