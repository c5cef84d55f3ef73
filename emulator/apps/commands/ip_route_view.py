"""Routes as `ip route` prints them: a line each, or one and a line for each of its ways."""

from __future__ import annotations

from collections.abc import Container, Sequence

from emulator.apps.commands.ip_context import Context, Json
from emulator.kernel.routing.route import Route
from emulator.kernel.routing.route_text import Field, hop_fields, route_fields


def write_routes(
    context: Context, routes: Sequence[Route], *, show_table: bool, hidden: Container[str] = frozenset()
) -> None:
    """Print routes, in text or JSON, without the fields whose JSON keys are `hidden`."""
    details = context.has("details")
    rows = [(route, route_fields(route, show_table=show_table, hidden=hidden, details=details)) for route in routes]
    if context.has("json"):
        context.write_json([_as_json(route, fields) for route, fields in rows])
        return
    separator = "\\" if context.has("oneline") else "\n"
    for route, fields in rows:
        lines = [joined(fields), *(f"\tnexthop {joined(hop_fields(hop))}" for hop in route.nexthops)]
        context.write(separator.join(lines) + "\n")


def joined(fields: Sequence[Field]) -> str:
    """Return the texts of some fields, each with a blank behind it."""
    return "".join(f"{text} " for _, _, text in fields if text)


def _as_json(route: Route, fields: Sequence[Field]) -> dict[str, Json]:
    row: dict[str, Json] = {key: value for key, value, _ in fields}
    if route.nexthops:
        row["nexthops"] = [{key: value for key, value, _ in hop_fields(hop)} for hop in route.nexthops]
    return row
