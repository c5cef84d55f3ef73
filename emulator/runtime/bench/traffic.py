"""What a load came to: how much was sent, how much arrived, in what time."""

from __future__ import annotations

from msgspec import Struct


class Transfer(Struct, frozen=True, kw_only=True):
    """Packets, bytes or requests. `median` is the middle latency in seconds, where each was answered.

    `intact` is whether the bytes that arrived are those that were sent, where that was looked at.
    """

    sent: int
    delivered: int
    seconds: float
    median: float | None = None
    intact: bool | None = None

    @property
    def rate(self) -> float:
        """How much arrived a second."""
        return self.delivered / self.seconds if self.seconds > 0 else 0.0

    @property
    def loss(self) -> float:
        """The share that did not arrive, from 0 to 1."""
        return 1 - self.delivered / self.sent if self.sent else 0.0
