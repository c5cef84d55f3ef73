"""Which texts are natural numbers."""

from __future__ import annotations

import pytest

from emulator.packet.digits import is_natural


@pytest.mark.parametrize("text", ["0", "007", str(2**64 - 1)])
def test_natural(text: str) -> None:
    assert is_natural(text)
    int(text)


@pytest.mark.parametrize("text", ["", "²", "٣", "-1", "+1", " 1", "1_0", "9" * 21, "9" * 5000])
def test_not_natural(text: str) -> None:
    assert not is_natural(text)
