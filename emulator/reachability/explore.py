"""Every way that rules leave to chance, one after the other: a depth-first walk over the answers to their draws."""

from __future__ import annotations

from emulator.kernel.choice import CHANCE_BITS

_CERTAIN = 1 << CHANCE_BITS


class EveryWay:
    """Answers draws (`kernel.choice.Choices`) so that no two runs from `begin` to `next_way` are alike, and all occur.

    What is drawn after an answer may depend on it: answers are the path in a tree that shows itself as it is walked.
    """

    def __init__(self) -> None:
        self._answers: list[int] = []
        self._counts: list[int] = []
        self._asked = 0

    def begin(self) -> None:
        """Start a run; its first draws get the answers of this way."""
        self._asked = 0

    def next_way(self) -> bool:
        """Go on to a way not taken before. False if there is none: then the next run is as the first."""
        del self._answers[self._asked :], self._counts[self._asked :]
        while self._answers:
            self._answers[-1] += 1
            if self._answers[-1] < self._counts[-1]:
                return True
            self._answers.pop()
            self._counts.pop()
        return False

    def happens(self, chance: int, /) -> bool:
        """First it happens, then it does not; what has no chance, or is certain, is no way of its own."""
        if chance <= 0 or chance >= _CERTAIN:
            return chance > 0
        return self._answer(2) == 0

    def one_of(self, count: int, /) -> int:
        """Return each of the numbers in turn."""
        return self._answer(count) if count > 1 else 0

    def _answer(self, count: int) -> int:
        if self._asked == len(self._answers):
            self._answers.append(0)
            self._counts.append(count)
        self._asked += 1
        return self._answers[self._asked - 1]
