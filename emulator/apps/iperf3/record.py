"""The JSON of `iperf3 -J`: the fields of iperf 3.12, laid out as cJSON prints them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from emulator.apps.http_message import http_date
from emulator.apps.iperf3.protocol import VERSION
from emulator.apps.iperf3.text import Line, total

if TYPE_CHECKING:
    from emulator.apps.iperf3.client import Iperf3Client, Outcome
    from emulator.apps.iperf3.flow import Counts


def to_json(client: Iperf3Client, outcome: Outcome, began: float) -> str:
    """Write a test; `began` is in seconds since the epoch."""
    record = {"start": _start(client, outcome, began), "intervals": _intervals(outcome), "end": _end(outcome)}
    return _print(record, 0) + "\n"


def _start(client: Iperf3Client, outcome: Outcome, began: float) -> dict[str, object]:
    parameters = outcome.parameters
    by_time = not parameters.size and not parameters.blocks
    connected = [
        {
            "socket": flow.number,
            "local_host": flow.local[0],
            "local_port": flow.local[1],
            "remote_host": flow.remote[0],
            "remote_port": flow.remote[1],
        }
        for flow in outcome.measurement.flows
    ]
    start: dict[str, object] = {
        "connected": connected,
        "version": f"iperf {VERSION}",
        "system_info": "Linux podwire",
        "timestamp": {
            "time": http_date(began),
            "timesecs": int(datetime.fromtimestamp(began, UTC).timestamp()),
        },
        "connecting_to": {"host": client.host, "port": client.port},
        "cookie": outcome.cookie,
    }
    if not parameters.udp:
        start["tcp_mss_default"] = outcome.mss
    return {
        **start,
        "target_bitrate": parameters.bitrate,
        "test_start": {
            "protocol": "UDP" if parameters.udp else "TCP",
            "num_streams": parameters.parallel,
            "blksize": parameters.length,
            "omit": 0,
            "duration": parameters.time if by_time else 0,
            "bytes": parameters.size,
            "blocks": parameters.blocks,
            "reverse": int(parameters.reverse),
            "tos": 0,
            "target_bitrate": parameters.bitrate,
        },
    }


def _intervals(outcome: Outcome) -> list[dict[str, object]]:
    measurement = outcome.measurement
    found: list[dict[str, object]] = []
    for lines, details in zip(measurement.intervals, measurement.details, strict=True):
        streams = [
            {"socket": line.number, **_line(line, running=True), **_socket(line, counts), **_role(line)}
            for line, counts in zip(lines, details, strict=True)
        ]
        found.append({"streams": streams, "sum": {**_line(_sum(lines), running=True), **_role(lines[0])}})
    return found


def _sum(lines: Sequence[Line]) -> Line:
    return replace(total(lines), window=None)


def _line(line: Line, *, running: bool) -> dict[str, object]:
    fields: dict[str, object] = {
        "start": line.begin,
        "end": line.end,
        "seconds": line.end - line.begin,
        "bytes": line.size,
        "bits_per_second": line.rate,
    }
    if line.packets is not None:
        if not (running and line.sender):
            fields |= {"jitter_ms": line.jitter * 1000, "lost_packets": line.errors}
        fields["packets"] = line.packets
        if not (running and line.sender):
            fields["lost_percent"] = line.lost_percent
    elif line.retransmits is not None:
        fields["retransmits"] = line.retransmits
    return fields


def _socket(line: Line, counts: Counts) -> dict[str, object]:
    if line.packets is not None or not line.sender:
        return {}
    return {
        "snd_cwnd": counts.window,
        "rtt": round(counts.round_trip * 1e6),
        "rttvar": round(counts.variance * 1e6),
        "pmtu": counts.path_mtu,
    }


def _role(line: Line) -> dict[str, object]:
    return {"omitted": False, "sender": line.sender}


def _end(outcome: Outcome) -> dict[str, object]:
    own = outcome.measurement.sender
    sides = {"sum_sent": _sum(outcome.sent), "sum_received": _sum(outcome.received)}
    if outcome.parameters.udp:
        streams: list[dict[str, object]] = [
            {"udp": {"socket": received.number, **_line(received, running=False), "out_of_order": counts.out_of_order,
                     "sender": own}}
            for received, counts in zip(outcome.received, outcome.measurement.details[-1], strict=True)
        ]  # fmt: skip
        whole = {"sum": {**_line(sides["sum_received"], running=False), "sender": own}}
    else:
        streams = [
            {
                "sender": {"socket": sent.number, **_line(sent, running=False), "sender": own},
                "receiver": {"socket": received.number, **_line(received, running=False), "sender": own},
            }
            for sent, received in zip(outcome.sent, outcome.received, strict=True)
        ]
        whole = {}
    end: dict[str, object] = {"streams": streams, **whole}
    end |= {name: {**_line(line, running=False), "sender": line.sender} for name, line in sides.items()}
    if outcome.congestion[0] and not outcome.parameters.udp:
        end["sender_tcp_congestion"], end["receiver_tcp_congestion"] = outcome.congestion
    return end


def _print(value: object, depth: int) -> str:
    """Write a value as cJSON does: tabs, a tab behind each colon, lists in one line but for the objects in them."""
    if isinstance(value, dict):
        if not value:
            return "{\n" + "\t" * depth + "}"
        inner = "\t" * (depth + 1)
        fields = [f"{inner}{json.dumps(name)}:\t{_print(field, depth + 1)}" for name, field in value.items()]
        return "{\n" + ",\n".join(fields) + "\n" + "\t" * depth + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_print(item, depth + 1) for item in value) + "]"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        short = f"{value:.15g}"
        return short if float(short) == value else f"{value:.17g}"
    return json.dumps(value)
