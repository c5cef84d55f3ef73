"""What the filter line of the flows page asks of a flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tui.model.filter import Test
from tui.model.flow_row import FlowRow


def word(row: FlowRow, value: str) -> bool:
    """Whether a word is found anywhere."""
    return value in row.text or value in row.state.lower()


def _any(value: str, names: Iterable[str]) -> bool:
    return any(value in name for name in names)


def _ends(name: str, address: str, value: str) -> bool:
    return value in name.lower() or address.startswith(value)


FIELDS: Mapping[str, Test[FlowRow]] = MappingProxyType(
    {
        "pod": lambda row, value: _any(value, row.pods),
        "service": lambda row, value: _any(value, row.services),
        "namespace": lambda row, value: any(name.startswith(f"{value}/") for name in (*row.pods, *row.services)),
        "from": lambda row, value: _ends(row.source, row.before[1], value),
        "to": lambda row, value: (
            _ends(row.destination, row.before[3], value) or _ends(row.endpoint, row.after[3], value)
        ),
        "ip": lambda row, value: value in {*row.before[1::2], *row.after[1::2]},
        "port": lambda row, value: value.isdecimal() and int(value) in {*row.before[2::2], *row.after[2::2]},
        "protocol": lambda row, value: row.protocol.lower() == value,
        "verdict": lambda row, value: row.verdict.lower().startswith(value),
        "reason": lambda row, value: value in row.reason.lower(),
        "state": lambda row, value: row.state.lower().startswith(value),
        "node": lambda row, value: _any(value, row.nodes),
    }
)
"""Names match in part, verdicts and states from their beginning, addresses, ports and protocols as a whole."""
