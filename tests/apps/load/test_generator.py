import errno

import pytest
import trio

from emulator.api.messages import LoadClient, LoadPace
from emulator.apps.environment import ResolveError
from emulator.apps.load.failure import FailedError, error_kind
from emulator.apps.load.generator import Generator
from emulator.apps.load.tally import Tally


class Answer:
    """A request that takes a while; the first ones may fail, or take their own time."""

    def __init__(self, delay=0.0, endpoint="web-1", errors=(), first=()):
        self.delay, self.endpoint = delay, endpoint
        self.errors, self.first = list(errors), list(first)
        self.times = []

    async def __call__(self, tally):
        self.times.append(trio.current_time())
        if self.errors:
            raise self.errors.pop(0)
        await trio.sleep(self.first.pop(0) if self.first else self.delay)
        return self.endpoint

    async def aclose(self):
        pass


async def run(request, duration=10.0, *, client=None, others=(), **pace):
    client = client or {"rate": 10.0}
    generator = Generator(
        LoadClient(pod="client", seed="1", **client), LoadPace(duration=duration, **pace), [request, *others]
    )
    await generator.run()
    return generator.tallies[0] if not others else generator.tallies


async def test_an_open_loop_keeps_its_rate(autojump_clock):
    tally = await run(Answer(0.01), client={"rate": 50.0})
    assert (tally.sent, tally.succeeded, tally.failed) == (500, 500, 0)
    assert tally.endpoints == {"web-1": 500}
    assert [tally.latencies.percentile(share) for share in (0.5, 1.0)] == [10_000, 10_000]


async def test_latency_counts_from_when_a_request_was_due(autojump_clock):
    stalled = await run(Answer(first=[2.0]), 3.0, client={"rate": 1.0}, in_flight=1)
    assert stalled.sent == 3
    assert sorted(round(bucket, -4) for bucket in (stalled.latencies.longest,)) == [2_000_000]
    assert stalled.latencies.total == pytest.approx(3_000_000, abs=10)  # 2 s, 1 s for the one behind it, 0 s


async def test_what_is_due_and_cannot_be_sent_is_told(autojump_clock):
    request = Answer(1.0)
    tally = await run(request, 3.0, client={"rate": 100.0}, in_flight=10)
    assert tally.sent == 30
    assert tally.sent + tally.unsent == 300
    assert tally.latencies.longest > 1_500_000


async def test_a_rate_beyond_measure_lets_others_have_their_turn(autojump_clock):
    """Counting all that had no place takes a while; whoever else runs on the node must not wait for the end of it."""
    seen = []
    generator = Generator(
        LoadClient(pod="client", seed="1", rate=1e6), LoadPace(duration=0.1, in_flight=1), [Answer(delay=0.2)]
    )

    async def others():
        await trio.sleep(0.1)  # until the count begins
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        seen.append(generator.tallies[0].unsent)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await generator.run()
    assert seen[0] < generator.tallies[0].unsent
    assert generator.tallies[0].unsent == pytest.approx(100_000, abs=2)


async def test_poisson_arrivals_are_drawn_from_the_seed(autojump_clock):
    first, second = Answer(), Answer()
    for request in (first, second):
        await run(request, 100.0, poisson=True)
    gaps = [b - a for a, b in zip(first.times, first.times[1:], strict=False)]
    assert 850 < len(first.times) < 1150  # 1,000 expected, deviation 32
    assert sum(gap < 0.01 for gap in gaps) > 50  # about a tenth; none, were they even
    began = first.times[0] - second.times[0]
    assert first.times == pytest.approx([time + began for time in second.times])


async def test_a_closed_loop_has_so_many_under_way(autojump_clock):
    tally = await run(Answer(0.5), 10.0, client={"concurrency": 4})
    assert tally.sent == 80
    assert tally.latencies.longest == 500_000
    paused = await run(Answer(0.5), 10.0, client={"concurrency": 1}, pause=0.5)
    assert paused.sent == 10
    few = await run(Answer(0.5), 10.0, client={"concurrency": 4, "requests": 6})
    assert few.sent == 6


async def test_targets_are_asked_in_turn(autojump_clock):
    one, other = await run(Answer(), 1.0, others=[Answer(endpoint="web-2")], client={"rate": 11.0})
    assert (one.endpoints, other.endpoints) == ({"web-1": 6}, {"web-2": 5})


async def test_errors_are_counted_by_kind_and_others_end_the_load(autojump_clock):
    errors = [OSError(errno.ECONNREFUSED, "10.0.0.1: refused"), FailedError("HTTP 503"), trio.BrokenResourceError()]
    tally = await run(Answer(60.0, errors=errors), 0.4)
    expected = {"Connection refused": 1, "HTTP 503": 1, "Connection broken": 1, "Operation timed out": 1}
    assert tally.errors == expected
    assert tally.succeeded == 0
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await run(Answer(errors=[ZeroDivisionError()]))


def test_kinds_of_errors_have_no_names_in_them():
    reset = trio.BrokenResourceError("x")
    reset.__cause__ = OSError(errno.ECONNRESET, "x")
    assert error_kind(reset) == "Connection reset by peer"
    assert error_kind(ResolveError("Could not resolve host: web")) == "Could not resolve host"
    assert error_kind(OSError(errno.EIO, "the node is away")) == "the node is away"


async def test_tallies_are_taken_in_parts_that_add_up(autojump_clock):
    generator = Generator(LoadClient(pod="x", rate=10.0, seed="1"), LoadPace(duration=2.0), [Answer(0.3)])
    parts, whole = [], Tally()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(generator.run)
        for _ in range(4):
            await trio.sleep(0.75)
            parts.append(generator.tallies[0].take(0, 0))
    for part in parts:
        whole.add(part)
    assert [part.sent for part in parts] == [8, 7, 5, 0]
    assert (whole.sent, whole.succeeded, whole.latencies.longest) == (20, 20, 300_000)
