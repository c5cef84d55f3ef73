"""Trio's own checks of what a stream must do, on real time: a jumping clock would run timers between them."""

import trio.testing

from tests.runtime.conftest import connected, joined_namespaces


async def test_trio_stream_contract() -> None:
    async with joined_namespaces() as pair:
        await trio.testing.check_half_closeable_stream(lambda: connected(pair), None)
