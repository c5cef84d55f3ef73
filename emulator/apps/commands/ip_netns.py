"""`ip netns`: the namespaces of a node, its pods' among them; inside a pod no other can be seen."""

from __future__ import annotations

from emulator.apps.commands.ip_context import SHOW, Context, IpError, Json, Words, is_command
from emulator.kernel.link import text as link_text


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip netns` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    if is_command(command, *SHOW):
        _show(context)
    elif is_command(command, "identify"):
        context.write(f"{'' if link_text.is_root(context.netns) else context.netns.name}\n")
    else:
        raise IpError(f'Command "{command}" is unknown, try "ip netns help".', 255)


def _show(context: Context) -> None:
    """List names, the newest first, with the ids that they have here."""
    here = context.netns
    others = [netns for netns in here.kernel.namespaces.values() if not link_text.is_root(netns)]
    if not link_text.is_root(here):
        others = []
    ids = link_text.namespace_ids(here)
    if context.has("json"):
        rows: list[dict[str, Json]] = []
        for netns in reversed(others):
            row: dict[str, Json] = {"name": netns.name}
            rows.append({**row, "id": ids[netns]} if netns in ids else row)
        context.write_json(rows)
        return
    for netns in reversed(others):
        context.write(f"{netns.name} (id: {ids[netns]})\n" if netns in ids else f"{netns.name}\n")
