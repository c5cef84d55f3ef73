"""Plays cases by number on machines that it keeps; a disagreement is repeated on a new machine, shrunk and reported."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field

from tests.kernel_oracle.drawn.case import Case
from tests.kernel_oracle.drawn.coverage import met
from tests.kernel_oracle.drawn.draw import draw_case
from tests.kernel_oracle.drawn.machine import Machine
from tests.kernel_oracle.drawn.play import Outcome, play
from tests.kernel_oracle.drawn.report import report
from tests.kernel_oracle.drawn.shrink import shrink
from tests.kernel_oracle.drawn.topology import TOPOLOGIES


@dataclass
class Tally:
    """What was done so far; of one worker, or of all."""

    cases: int = 0
    refused: int = 0
    disagreements: int = 0
    flaky: int = 0
    frames: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    reports: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another's figures."""
        self.cases += other.cases
        self.refused += other.refused
        self.disagreements += other.disagreements
        self.flaky += other.flaky
        self.frames += other.frames
        self.met += other.met
        self.reports += other.reports


class Player:
    """Plays cases by number; keeps a machine of each topology."""

    def __init__(self, seed: int, only: str, *, shrinking: bool = True) -> None:
        self._seed = seed
        self._only = only
        self._shrinking = shrinking
        self._open = contextlib.ExitStack()
        self._machines: dict[tuple[str, bool], Machine] = {}

    def close(self) -> None:
        """Delete the namespaces."""
        self._open.close()

    def _play(self, case: Case, number: int, *, careful: bool = False, fresh: bool = False) -> Outcome:
        # A namespace that once had a policy rule checks sources differently for ever (fib_has_custom_rules).
        key = (case.topology, bool(case.policy_rules))
        machine = self._machines.get(key)
        if machine is None:
            machine = self._machines[key] = self._open.enter_context(Machine(TOPOLOGIES[case.topology]))
        if fresh:
            machine.renew()
        machine.careful = careful
        try:
            return play(machine, case, number)
        finally:
            machine.leave()

    def run(self, number: int) -> Tally:
        """Draw and play one case; report and shrink it if the sides disagree twice."""
        case = draw_case(self._seed, number, self._only)
        outcome = self._play(case, number)
        tally = Tally(1, int(outcome.refused), frames=outcome.frames, met=met(case, outcome))
        if not outcome.kind:
            return tally
        again = self._play(case, number, careful=True, fresh=True)
        if not again.kind:
            tally.flaky = 1
            return tally
        tally.disagreements = 1
        if self._shrinking:
            case, again = self._shrink(case, again, number)
        only = f" --only {self._only}" if self._only else ""
        command = f"scripts/oracle --seed {self._seed} --case {number}{only}"
        tally.reports = [report(case, again, command)]
        return tally

    def _shrink(self, case: Case, outcome: Outcome, number: int) -> tuple[Case, Outcome]:
        smallest = [outcome]

        def fails(smaller: Case) -> bool:
            for fresh in (False, True):  # what Linux limits by time may differ once
                found = self._play(smaller, number, careful=True, fresh=fresh)
                if found.kind != outcome.kind:
                    return False
            smallest[0] = found
            return True

        return shrink(case, fails), smallest[0]
