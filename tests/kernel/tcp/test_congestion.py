"""CUBIC against the formulas of RFC 9438, NewReno against those of RFC 5681; and how a connection comes to one."""

from __future__ import annotations

import pytest

from emulator.kernel.sysctl import SysctlError
from emulator.kernel.tcp.congestion import CongestionControl, NewReno, Phase
from emulator.kernel.tcp.cubic import Cubic
from tests.kernel.socket_world import SERVER, World

C, BETA = 0.4, 0.7


def curve(elapsed: float, top: float, start: float) -> float:
    """W_cubic(t): figures 1 and 2 of RFC 9438."""
    k = ((top - start) / C) ** (1 / 3)
    return float(C * (elapsed - k) ** 3 + top)


def after_loss(cc: CongestionControl, window: int) -> CongestionControl:
    """Let it lose with `window` segments in flight, and mend that."""
    cc.window = window
    cc.enter_recovery(window, 0)
    cc.leave_recovery()
    return cc


def live(cc: CongestionControl, seconds: float, round_trip: float, start: float = 0.0) -> list[tuple[float, int]]:
    """Acknowledge a full window spread over each round trip: (time, window) at the end of each."""
    now, seen = start, []
    while now - start < seconds:
        window = cc.window
        for _ in range(window):
            now += round_trip / window
            cc.acknowledged(1, cc.window, now, round_trip)
        seen.append((now, cc.window))
    return seen


def test_slow_start_takes_a_segment_for_each_acknowledged() -> None:
    for cc in (NewReno(), Cubic()):
        assert cc.window == 10
        live(cc, 0.35, 0.1)
        assert cc.window == 160
        cc.acknowledged(5, 10, 1.0, 0.1)  # the window was not what held us back
        assert cc.window == 160


def test_a_loss_leaves_half_or_seven_tenths() -> None:
    assert after_loss(NewReno(), 100).window == 50
    assert after_loss(Cubic(), 100).window == 70
    assert after_loss(NewReno(), 2).window == after_loss(Cubic(), 2).window == 2


def test_reno_grows_by_one_segment_in_a_round_trip() -> None:
    cc = after_loss(NewReno(), 100)
    grown = [window for _, window in live(cc, 1.0, 0.1)]
    assert grown[-1] == pytest.approx(60, abs=1)


@pytest.mark.parametrize("round_trip", [0.1, 0.2])
@pytest.mark.parametrize("window", [500, 2000])
def test_cubic_follows_its_curve(window: int, round_trip: float) -> None:
    cc = after_loss(Cubic(), window)
    k = ((window - BETA * window) / C) ** (1 / 3)
    for now, seen in live(cc, 2 * k, round_trip):
        # It aims a round trip ahead, and comes near that within one (section 4.4).
        low = curve(now - 2 * round_trip, window, BETA * window)
        high = curve(now + 2 * round_trip, window, BETA * window)
        assert low - 2 <= seen <= high + 2, now
    assert cc.window > window  # beyond K it looks for more


def test_cubic_grows_by_time_and_not_by_round_trips() -> None:
    ends = [live(after_loss(Cubic(), 1000), 6.0, round_trip)[-1][1] for round_trip in (0.05, 0.1, 0.2)]
    assert max(ends) - min(ends) < 0.02 * 1000


def test_cubic_is_as_fast_as_reno_where_that_is_faster() -> None:
    """Section 4.3: alpha segments a round trip up to the window before the loss, then one."""
    cc = after_loss(Cubic(), 20)
    alpha = 3 * (1 - BETA) / (1 + BETA)
    rounds = live(cc, 0.01, 0.001)
    assert rounds[-1][1] == pytest.approx(14 + alpha * len(rounds), abs=1)
    live(cc, 0.03, 0.001, 0.01)
    before = cc.window
    assert before >= 20
    rounds = live(cc, 0.01, 0.001, 0.04)
    assert cc.window - before == pytest.approx(len(rounds), abs=2)


def test_a_loss_before_the_old_top_gives_way_to_others() -> None:
    """Fast convergence, section 4.7: W_max becomes cwnd (1 + beta) / 2, so that the plateau comes lower."""
    cc = after_loss(Cubic(), 1000)
    cc.enter_recovery(700, 0)
    cc.leave_recovery()
    top = 700 * (1 + BETA) / 2
    k = ((top - 490) / C) ** (1 / 3)
    at_plateau = [window for now, window in live(cc, k, 0.05) if abs(now - k) < 0.2]
    assert at_plateau[-1] == pytest.approx(top, abs=2)


def test_a_time_out_begins_with_one_segment_and_no_plateau() -> None:
    """Section 4.8: after slow start, K is 0 and W_max is the window there."""
    cc = Cubic()
    cc.window = 100
    cc.enter_loss(100, 0, again=False)
    assert (cc.window, cc.threshold, cc.phase) == (1, 70, Phase.LOSS)
    cc.enter_loss(100, 0, again=True)
    assert cc.threshold == 70  # the same loss
    cc.leave_recovery()
    live(cc, 0.7, 0.1)
    assert cc.window >= 70
    (now, window) = live(cc, 4.0, 0.1)[-1]
    assert window == pytest.approx(70 + C * (now - 0.7 + 0.1) ** 3, rel=0.3)


def test_a_time_out_in_recovery_is_the_same_loss() -> None:
    for cc in (NewReno(), Cubic()):
        cc.window = 100
        cc.enter_recovery(100, 50)
        threshold = cc.threshold
        cc.enter_loss(60, 80, again=False)
        assert (cc.window, cc.threshold) == (1, threshold)


def test_idle_time_is_not_the_epochs() -> None:
    """Section 5.8: nothing was sent, so nothing was learnt."""
    busy, idle = after_loss(Cubic(), 500), after_loss(Cubic(), 500)
    for cc in (busy, idle):
        live(cc, 1.0, 0.1)
    window = idle.window
    idle.restart_after_idle(60.0)
    assert idle.window == 10
    idle.window = window
    assert live(idle, 2.0, 0.1, 61.0)[-1][1] == pytest.approx(live(busy, 2.0, 0.1, 1.0)[-1][1], abs=2)


def test_the_sysctl_chooses() -> None:
    world = World()
    assert isinstance(world.client.sockets.connect((SERVER, 1)).cc, Cubic)
    world.client.sysctl.set("net.ipv4.tcp_congestion_control", "reno")
    assert isinstance(world.client.sockets.connect((SERVER, 1)).cc, NewReno)
    assert world.client.sysctl.get("net.ipv4.tcp_available_congestion_control") == "reno cubic"
    for name, value in (("tcp_congestion_control", "vegas"), ("tcp_available_congestion_control", "cubic")):
        with pytest.raises(SysctlError):
            world.client.sysctl.set(f"net.ipv4.{name}", value)
    assert world.client.sysctl.get("net.ipv4.tcp_congestion_control") == "reno"
