"""Plays one case on both sides and says what they disagree about first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from emulator.packet.checksum import checksum
from tests.kernel_oracle.drawn.case import (
    CLIENT,
    Case,
    CheckStep,
    Conversation,
    DeleteStep,
    ErrorStep,
    ExpireStep,
    Talk,
    WaitStep,
)
from tests.kernel_oracle.drawn.hosts import ETHERNET, OWN_TTL, Hosts, payload
from tests.kernel_oracle.drawn.machine import LocalError, Machine, RefusedError
from tests.kernel_oracle.drawn.packet import ICMP
from tests.kernel_oracle.harness import Frames

TIMESTAMP_REPLY = 14
TIMEOUT_TOLERANCE = 2  # seconds: both clocks run, and a busy machine looks at the one later than at the other


@dataclass
class Outcome:
    """What a case did: `kind` is empty if both sides agree, else says in what they do not."""

    kind: str = ""
    step: int = -1  # the step at which they disagreed
    real: list[str] = field(default_factory=list)
    emulated: list[str] = field(default_factory=list)
    sent: list[tuple[int, str, bytes]] = field(default_factory=list)  # step, link, frame
    message: str = ""
    refused: bool = False  # both sides refused the rules
    rules: list[str] = field(default_factory=list)  # with counters, at the end
    entries: list[str] = field(default_factory=list)
    frames: Counter[str] = field(default_factory=Counter)


class _DisagreementError(Exception):
    pass


def play(machine: Machine, case: Case, seed: int) -> Outcome:
    """Run a case. Exceptions of the emulator are disagreements too."""
    outcome = Outcome()
    try:
        machine.start(case, seed)
    except RefusedError as error:
        outcome.refused = error.both
        outcome.kind = "" if error.both else "refused"
        outcome.message = str(error)
        return outcome
    machine.identification = (machine.identification + 97) & 0xFFFF
    hosts = Hosts(machine.topology, case.conversations, machine.identification)
    try:
        for number, step in enumerate(case.steps):
            outcome.step = number
            _step(machine, hosts, case.conversations, step, outcome)
        outcome.step = len(case.steps)
        _check(machine, outcome)
        left = machine.rest()
        if left:
            _differ(outcome, "frames", _lines(left), [])
    except _DisagreementError:
        pass
    except LocalError as error:
        outcome.kind, outcome.message = "local", str(error)
    return outcome


def _step(
    machine: Machine, hosts: Hosts, conversations: tuple[Conversation, ...], step: object, outcome: Outcome
) -> None:
    if isinstance(step, Talk | ErrorStep):
        plan = None if isinstance(step, ErrorStep) else conversations[step.conversation]
        if plan is not None and not plan.link and step.side == CLIENT:
            real, emulated = machine.send_local(plan, payload(step.length))
        else:
            frames = hosts.frames(step)
            outcome.sent += [(outcome.step, link, frame) for link, frame in frames]
            real, emulated = machine.send(frames)
        _compare_frames(machine, real, emulated, outcome)
        hosts.learn(step, real)
    elif isinstance(step, ExpireStep):
        machine.expire(step)
    elif isinstance(step, DeleteStep):
        machine.delete(step)
    elif isinstance(step, WaitStep):
        _compare_frames(machine, *machine.wait(step.seconds), outcome)
    elif isinstance(step, CheckStep):
        _check(machine, outcome)


def _compare_frames(machine: Machine, real: Frames, emulated: Frames, outcome: Outcome) -> None:
    if machine.kernel.faults:
        outcome.message = machine.kernel.faults[-1].error
        _differ(outcome, "fault", _lines(real), _lines(emulated))
    outcome.frames["in"] += 1
    for name in real:
        outcome.frames["out"] += len(real[name])
        if [own_blanked(frame) for frame in real[name]] != [own_blanked(frame) for frame in emulated[name]]:
            _differ(outcome, "frames", _lines(real), _lines(emulated))


def own_blanked(frame: bytes) -> bytes:
    """Blank what no two machines share in packets of their own, told by their TTL: identification, time of day."""
    if frame[12:14] != b"\x08\0" or len(frame) < ETHERNET + 20 or frame[ETHERNET + 8] != OWN_TTL:
        return frame
    data = bytearray(frame)
    data[18:20] = data[24:26] = b"\0\0"
    transport = ETHERNET + (data[ETHERNET] & 15) * 4
    if data[ETHERNET + 9] == ICMP and len(data) >= transport + 20 and data[transport] == TIMESTAMP_REPLY:
        data[transport + 2 : transport + 4] = bytes(2)  # the time of day, and the checksum over it
        data[transport + 12 : transport + 20] = bytes(8)
    data[24:26] = checksum(data[14 : 14 + (data[14] & 15) * 4]).to_bytes(2, "big")
    return bytes(data)


def _check(machine: Machine, outcome: Outcome) -> None:
    real, emulated = machine.entries()
    if [line for line, _ in real] != [line for line, _ in emulated] or any(
        abs(first - second) > TIMEOUT_TOLERANCE for (_, first), (_, second) in zip(real, emulated, strict=True)
    ):
        _differ(outcome, "entries", [f"{line} [{left} s]" for line, left in real],
                [f"{line} [{left} s]" for line, left in emulated])  # fmt: skip
    outcome.entries = [line for line, _ in real]
    rules, emulated_rules = machine.rules()
    if rules != emulated_rules:
        _differ(outcome, "counters", rules, emulated_rules)
    outcome.rules = rules
    sets, emulated_sets = machine.sets()
    if sets != emulated_sets:
        _differ(outcome, "sets", sets, emulated_sets)


def _differ(outcome: Outcome, kind: str, real: list[str], emulated: list[str]) -> None:
    outcome.kind, outcome.real, outcome.emulated = kind, real, emulated
    raise _DisagreementError


def _lines(frames: Frames) -> list[str]:
    from emulator.packet.describe import describe_frame

    return [
        f"{link}: {describe_frame(frame)}\n      {frame[:14].hex()} {frame[14:].hex()}"
        for link, each in frames.items()
        for frame in each
    ]
