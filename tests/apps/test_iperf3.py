"""iperf3: its totals, and its lines as iperf 3.12 printed them for the same tests in network namespaces."""

from __future__ import annotations

import json
import re

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from emulator.apps.iperf3.flow import Counts, UdpFlow
from emulator.apps.iperf3.protocol import Iperf3Error, Parameters, StreamResult
from emulator.apps.iperf3.text import Line, amount, interval, summary, total

from .conftest import Lab

C = "iperf3 -c 10.244.1.3"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            Line(5, 0.0, 1.0, 979_369_984, True, retransmits=0, window=2_243_953),
            "[  5]   0.00-1.00   sec   934 MBytes  7.83 Gbits/sec    0   2.14 MBytes       ",
        ),
        (
            Line(5, 0.0, 1.0, 811_597_824, False),
            "[  5]   0.00-1.00   sec   774 MBytes  6.49 Gbits/sec                  ",
        ),
        (
            Line(5, 0.0, 1.0, 1_249_812, True, packets=894),
            "[  5]   0.00-1.00   sec  1.19 MBytes  10.0 Mbits/sec  894  ",
        ),
        (
            Line(7, 0.0, 1.0, 627_702, False, packets=449, jitter=0.000322),
            "[  7]   0.00-1.00   sec   613 KBytes  5.02 Mbits/sec  0.322 ms  0/449 (0%)  ",
        ),
        (
            Line(None, 0.0, 1.0, 478_150_656, True, retransmits=0),
            "[SUM]   0.00-1.00   sec   456 MBytes  3.83 Gbits/sec    0             ",
        ),
    ],
)
def test_intervals(line: Line, text: str) -> None:
    assert interval(line, "") == text


@pytest.mark.parametrize(
    ("line", "unit", "text"),
    [
        (
            Line(5, 0.0, 3.0, 2_061_584_302, True, retransmits=1),
            "",
            "[  5]   0.00-3.00   sec  1.92 GBytes  5.50 Gbits/sec    1             sender",
        ),
        (Line(5, 0.0, 1.0, 432_013_312, True, retransmits=2), "m",
         "[  5]   0.00-1.00   sec   412 MBytes  3456 Mbits/sec    2             sender"),
        (
            Line(5, 0.0, 3.0, 3_749_436, False, packets=2682, errors=10, jitter=0.000008),
            "",
            "[  5]   0.00-3.00   sec  3.58 MBytes  10.0 Mbits/sec  0.008 ms  10/2682 (0.37%)  receiver",
        ),
        (Line(5, 0.0, 0.03, 7_130_316, False), "K",
         "[  5]   0.00-0.03   sec  6.80 MBytes  232107 KBytes/sec                  receiver"),
    ],
)  # fmt: skip
def test_summaries(line: Line, unit: str, text: str) -> None:
    assert summary(line, unit) == text


@given(size=st.integers(0, 1 << 50))
def test_amounts_have_four_figures(size: int) -> None:
    number, unit = amount(size).split()
    assert len(amount(size)) <= len("1023 KBytes")
    assert unit in {"Bytes", "KBytes", "MBytes", "GBytes", "TBytes"}
    assert float(number) <= 1024


def test_sums() -> None:
    lines = [Line(5, 0.0, 1.0, 10, True, 1, 5, None), Line(7, 0.0, 2.0, 20, True, 2, 5, None)]
    assert total(lines) == Line(None, 0.0, 2.0, 30, True, 3)


@pytest.mark.parametrize(
    "data", [{"len": 0}, {"len": "x"}, {"parallel": 1000}, {"udp": True, "len": 4}, {"bidirectional": 1}, {"time": -1}]
)
def test_parameters_out_of_bounds_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(Iperf3Error):
        Parameters.from_json({"len": 1000, "parallel": 1, "time": 1, **data})


def test_parameters_and_results_travel() -> None:
    parameters = Parameters(udp=True, time=3, parallel=2, length=1000, bitrate=5_000_000, reverse=True)
    assert Parameters.from_json(json.loads(json.dumps(parameters.to_json()))) == parameters
    result = StreamResult(3, 100, -1, 0.5, 1, 10, 2.0)
    assert StreamResult.from_json(json.loads(json.dumps(result.to_json()))) == result


@given(order=st.permutations(range(1, 9)), lost=st.sets(st.integers(1, 8), max_size=7))
def test_lost_packets_are_counted_whatever_their_order(order: list[int], lost: set[int]) -> None:
    """What is missing below the highest number that came is lost, once all has come."""
    flow = UdpFlow.__new__(UdpFlow)
    flow.counts, flow._transit, flow._now, flow.on_received = Counts(), None, lambda: 1.0, None
    came = [number for number in order if number not in lost]
    for number in came:
        flow.take(b"\0" * 8 + number.to_bytes(4, "big") + b"x" * 10)
    highest = max(came, default=0)
    assert (flow.counts.packets, flow.counts.size) == (highest, 22 * len(came))
    assert flow.counts.errors == highest - len(came)


async def test_tcp_in_full(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("networkstatic/iperf3", args=["-s"])
    result = await lab.run(f"{C} -n 1M")
    assert (result.status, result.error) == (0, "")
    masked = re.sub(r"port [0-9]{5}", "port P", result.out)
    masked = re.sub(r"0\.00-0\.[0-9]{2}", "0.00-T", masked)
    masked = re.sub(r"[ 0-9.]{4} [KMG]?(bits|Bytes)(/sec)?", "N", masked)
    assert masked == (
        "Connecting to host 10.244.1.3, port 5201\n"
        "[  5] local 10.244.1.2 port P connected to 10.244.1.3 port 5201\n"
        "[ ID] Interval           Transfer     Bitrate         Retr  Cwnd\n"
        "[  5]   0.00-T   sec  N  N    0   N       \n"
        "- - - - - - - - - - - - - - - - - - - - - - - - -\n"
        "[ ID] Interval           Transfer     Bitrate         Retr\n"
        "[  5]   0.00-T   sec  N  N    0             sender\n"
        "[  5]   0.00-T   sec  N  N                  receiver\n"
        "\niperf Done.\n"
    )
    assert "1.00 MBytes" in result.out
    await trio.sleep(1)
    log = "".join(lab.logs["server"])
    assert log.startswith(
        "-----------------------------------------------------------\n"
        "Server listening on 5201 (test #1)\n"
        "-----------------------------------------------------------\n"
        "Accepted connection from 10.244.1.2, port "
    )
    assert "[ ID] Interval           Transfer     Bitrate\n" in log
    assert log.count("1.00 MBytes") == 2
    assert "Server listening on 5201 (test #2)" in log


async def test_udp_at_a_rate(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("iperf3", args=["-s"])
    result = await lab.run(f"{C} -u -b 1M -t 3 -l 1000 -P 2")
    assert (result.status, result.error) == (0, "")
    out = result.out.replace("0.001 ms", "0.000 ms")  # packets tell whole microseconds
    lines = [line for line in out.splitlines() if line.startswith("[")]
    assert [line[:5] for line in lines].count("[SUM]") == 5
    assert "[ ID] Interval           Transfer     Bitrate         Total Datagrams" in lines
    assert "[  5]   0.00-1.00   sec   122 KBytes  1.00 Mbits/sec  125  " in lines
    assert "[  7]   0.00-3.00   sec   366 KBytes  1.00 Mbits/sec  0.000 ms  0/375 (0%)  sender" in lines
    assert "[SUM]   0.00-3.00   sec   732 KBytes  2.00 Mbits/sec  0.000 ms  0/750 (0%)  receiver" in lines


async def test_reverse_and_json(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("iperf3", args=["-s", "-p", "5300"])
    result = await lab.run(f"{C} -p 5300 -R -n 300K -P 2")
    assert result.status == 0
    assert "Reverse mode, remote host 10.244.1.3 is sending\n" in result.out
    result = await lab.run(f"{C} -p 5300 -R -u -b 2M -t 1 -J")
    record = json.loads(result.out)
    assert result.out.startswith('{\n\t"start":\t{\n\t\t"connected":\t[{\n\t\t\t\t"socket":\t5,\n')
    assert record["start"]["test_start"]["protocol"] == "UDP"
    assert record["end"]["sum_received"]["bytes"] == record["end"]["sum_sent"]["bytes"] > 200_000
    assert record["end"]["sum"]["lost_packets"] == 0
    result = await lab.run(f"{C} -p 5300 -n 1M -J")
    record = json.loads(result.out)
    assert record["end"]["sum_sent"]["bytes"] == record["end"]["sum_received"]["bytes"] == 1 << 20
    assert record["intervals"][0]["streams"][0]["pmtu"] == 1500
    assert record["start"]["tcp_mss_default"] == 1448


async def test_a_second_client_is_turned_away(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("iperf3", args=["-s"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lab.run, f"{C} -u -t 3")
        await trio.sleep(1)
        second = await lab.run(f"{C} -t 1", "dns")
    assert (second.status, second.error) == (
        1,
        "iperf3: error - the server is busy running a test. try again later\n",
    )
    assert (await lab.run(f"{C} -n 10K")).status == 0


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (f"{C} -p 9", "iperf3: error - unable to connect to server: Connection refused\n"),
        ("iperf3 -c 10.244.1.9", "iperf3: error - unable to connect to server: No route to host\n"),
        ("iperf3", "iperf3: parameter error - must either be a client (-c) or server (-s)\n"),
        ("iperf3 -s -t 3", "iperf3: parameter error - some option you are trying to set is client only\n"),
        (f"{C} -t 3 -n 5", "iperf3: parameter error - only one test end condition (-t, -n, -k) may be specified\n"),
        (f"{C} --bidir", "iperf3: parameter error - option --bidir is not there in this iperf3\n"),
        (f"{C} -i 0.01", "iperf3: parameter error - invalid report interval (min = 0.1, max = 60 seconds)\n"),
        (f"{C} -b x", "iperf3: parameter error - not a number: x\n"),
    ],
)
async def test_failures(lab: Lab, autojump_clock: MockClock, line: str, error: str) -> None:
    result = await lab.run(line)
    assert (result.status, result.error[: len(error)]) == (1, error)


@pytest.mark.parametrize("garbage", [b"", b"x", b"y" * 37, b"z" * 37 + b"\0\0\0\2[]", b"z" * 37 + b"\xff" * 4])
async def test_a_server_outlives_any_client(lab: Lab, autojump_clock: MockClock, garbage: bytes) -> None:
    await lab.start("iperf3", args=["-s"])
    async with await lab.networks["client"].open_tcp_stream("10.244.1.3", 5201) as stream:
        await stream.send_all(garbage)
        await trio.sleep(1)
    await trio.sleep(60)
    assert (await lab.run(f"{C} -n 10K")).status == 0
