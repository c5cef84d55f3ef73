import pytest
import trio

from emulator.runtime import lag


async def test_a_loop_in_time_moves_no_deadline(autojump_clock):
    late = await lag.sleep_until(trio.current_time() + 3)
    assert late == pytest.approx(0)
    assert lag.extended(10.0, 0.0, 1.0) == 10.0


async def test_a_loop_that_is_held_up_moves_deadlines_by_that_much(autojump_clock):
    due = trio.current_time() + 1
    async with trio.open_nursery() as nursery:

        async def hold_up():
            autojump_clock.jump(1.75)

        nursery.start_soon(hold_up)
        late = await lag.sleep_until(due)
    assert late == pytest.approx(0.75)
    assert lag.extended(due + 2, late, 1.0) == pytest.approx(due + 2.75)


async def test_after_a_long_hold_up_there_is_time_to_read_what_came(autojump_clock):
    now = trio.current_time()
    assert lag.extended(now - 30, 20.0, 1.0) == now + 1.0
