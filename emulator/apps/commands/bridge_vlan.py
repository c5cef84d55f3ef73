"""`bridge vlan` as of a kernel without CONFIG_BRIDGE_VLAN_FILTERING: bridges here do not filter by VLAN."""

from __future__ import annotations

from emulator.apps.commands.ip_context import SHOW, Context, IpError, Words, is_command

_HEADER = "port              vlan-id  \n"
_FLAGS = frozenset({"pvid", "untagged", "self", "master"})


def run(context: Context, words: Words) -> None:
    """Run the rest of a `bridge vlan` line: no port has VLANs, and none can be added."""
    command = words.next() if words else "show"
    if is_command(command, *SHOW):
        _show(context, words)
    elif is_command(command, "add", "delete"):
        _change(context, words)
    else:
        raise IpError(f'Command "{command}" is unknown, try "bridge vlan help".')


def _show(context: Context, words: Words) -> None:
    while words:
        if words.next() in ("dev", "vid"):
            words.next()
    if context.has("json"):
        context.write_json([])
    else:
        context.write(_HEADER)


def _change(context: Context, words: Words) -> None:
    device = vlan = ""
    while words:
        word = words.next()
        if word == "dev":
            device = words.next()
        elif word == "vid":
            vlan = words.next()
        elif word not in _FLAGS:
            raise IpError(f'Error: argument "{word}" is wrong: unknown')
    if not device or not vlan:
        raise IpError("Device and VLAN ID are required arguments.")
    if device not in context.netns.links:
        raise IpError(f'Cannot find bridge device "{device}"')
    raise IpError("RTNETLINK answers: Operation not supported")
