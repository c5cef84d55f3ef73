"""The TCP conversations of the kernel's selftests, played to the real kernel: what it lets through is what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.kernel.netfilter.conversations import CONVERSATIONS, DROP_INVALID, Segment
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed.build(DROP_INVALID)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_a_conversation_of_the_selftests(bed: RouterBed, conversation: Callable[[], Iterator[Segment]]) -> None:
    bed.reset()
    for segment in conversation():
        observed = bed.send(segment.packet())
        out = "b" if segment.forth else "a"
        assert (observed.real[out] == []) is segment.invalid, segment
        bed.compare_counters("filter")
        bed.compare_timeouts()
        if segment.after:
            (line,) = bed.real_entries()
            assert [word for word in line.split() if word in segment.after.split()] == segment.after.split(), line
