"""The machine: time and timers, the backlog, faults that one packet causes, traces."""

from __future__ import annotations

import random

from emulator.kernel import kernel as kernel_module
from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netns import Netns
from emulator.kernel.skb import Skb
from tests.kernel.router import Router, datagram


def test_timers_run_in_order_and_cancelled_ones_do_not() -> None:
    kernel = Kernel("machine", random.Random(1))
    ran: list[str] = []
    kernel.schedule(2.0, lambda: ran.append("second"))
    kernel.schedule(1.0, lambda: ran.append("first"))
    cancelled = kernel.schedule(0.5, lambda: ran.append("never"))
    cancelled.cancel()
    assert not cancelled.armed
    assert kernel.next_deadline() == 1.0
    kernel.run(1.5)
    assert ran == ["first"]
    kernel.run(2.0)
    assert ran == ["first", "second"]
    assert kernel.next_deadline() is None


def test_cancelled_timers_do_not_pile_up() -> None:
    kernel = Kernel("machine", random.Random(1))
    ran: list[int] = []
    for number in range(10):
        kernel.schedule(100.0 + number, lambda number=number: ran.append(number))  # type: ignore[misc]
    for _ in range(10_000):
        kernel.schedule(1_000.0, list).cancel()
    assert len(kernel.timers) == 10
    assert kernel.timers.allocated < 200
    kernel.run(2_000.0)
    assert ran == list(range(10))
    assert kernel.timers.allocated == 0


def test_a_budget_leaves_work_for_later() -> None:
    router = Router()
    for _ in range(10):
        router.a.receive_frame(datagram())
    assert router.kernel.next_deadline() == 0.0
    assert router.kernel.run(0.0, budget=4)
    assert len(router.b.transmit_queue) == 4
    assert not router.kernel.run(0.0)
    assert len(router.b.transmit_queue) == 10


def test_a_full_backlog_drops() -> None:
    router = Router()
    for _ in range(kernel_module.BACKLOG_LIMIT + 5):
        router.a.receive_frame(datagram())
    assert dict(router.ns.drops) == {DropReason.CPU_BACKLOG: 5}


def test_an_exception_is_noted_with_its_frame_and_the_machine_lives() -> None:
    router = Router()

    def fail(netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        raise RuntimeError("a bug")

    router.ns.netfilter.register(Hook.FORWARD, 0, "test", fail)
    router.a.receive_frame(datagram())
    router.kernel.run(0.0)
    (fault,) = router.kernel.faults
    assert (fault.link, len(fault.frame), router.kernel.fault_count) == ("a", 52, 1)
    assert "a bug" in fault.error
    router.a.receive_frame(datagram(destination="10.1.0.1"))
    router.kernel.run(0.0)
    assert router.kernel.fault_count == 1


def test_time_does_not_go_back() -> None:
    kernel = Kernel("machine", random.Random(1), now=5.0)
    kernel.run(3.0)
    assert kernel.now == 5.0
