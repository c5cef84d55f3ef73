"""The TCP conversations of the kernel's selftests: what passes, what is dropped as INVALID, what the entry says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from emulator.kernel.netfilter.conntrack.connection import Status
from tests.kernel.netfilter.conversations import CONVERSATIONS, DROP_INVALID, Segment
from tests.kernel.netfilter.router import Router


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_a_conversation_of_the_selftests(conversation: Callable[[], Iterator[Segment]]) -> None:
    router = Router(DROP_INVALID)
    for segment in conversation():
        passed = router.send(*segment.packet()) != []
        assert passed is not segment.invalid, segment
        if segment.after:
            (connection,) = router.connections()
            words = [connection.state_name]
            words += [] if connection.status & Status.SEEN_REPLY else ["[UNREPLIED]"]
            words += ["[ASSURED]"] if connection.assured else []
            assert " ".join(words) == segment.after, segment
