"""Carries out what `ipvsadm` commands say to change, one line at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.command_line import Command, parse
from emulator.kernel.netfilter.ipvs.error import USAGE, IpvsError, IpvsRunError
from emulator.kernel.netfilter.ipvs.tcp import TcpState
from emulator.kernel.netfilter.ipvs.udp import NORMAL

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.engine import Ipvs


def run(ipvs: Ipvs, lines: Iterable[str]) -> None:
    """See `Ipvs.run`."""
    for number, line in enumerate(lines, 1):
        words = split(line)
        if not words:
            continue
        try:
            change(ipvs, parse(words))
        except IpvsError as error:
            raise IpvsRunError(number, str(error), error.status) from None


def split(line: str) -> list[str]:
    """Return the words of a line as `ipvsadm -R` reads them: without `ipvsadm`, and nothing behind a #."""
    words = line.split()
    if "#" in line:
        comment = next((index for index, word in enumerate(words) if word.startswith("#")), len(words))
        words = words[:comment]
    return [word for word in words if word != "ipvsadm"] if "ipvsadm" in line else words


def change(ipvs: Ipvs, command: Command) -> None:
    """Carry out one command that changes something. IpvsError: nothing changed."""
    services, name, key = ipvs.services, command.name, command.key
    address, port = command.server
    if name == "flush":
        services.clear()
    elif name == "zero":
        services.zero(key)
        if key is None:
            ipvs.statistics.reset(ipvs.now)
    elif name == "set":
        _set_timeouts(ipvs, command.timeouts)
    elif key is None:
        raise IpvsError(f"{name}: not a command that changes the table", USAGE)
    elif name == "add-service":
        services.add(key, command.service)
    elif name == "edit-service":
        services.edit(key, command.service)
    elif name == "delete-service":
        services.delete(key)
    elif name == "add-server":
        services.add_server(key, address, port, command.server_options)
    elif name == "edit-server":
        services.edit_server(key, address, port, command.server_options)
    elif name == "delete-server":
        services.delete_server(key, address, port)
    ipvs.services_changed()
    ipvs.netfilter.changed()


def _set_timeouts(ipvs: Ipvs, timeouts: tuple[int, int, int]) -> None:
    """`--set`: connections get them with their next packet."""
    established, finished, datagram = timeouts
    if established:
        ipvs.tcp.timeouts[TcpState.ESTABLISHED] = float(established)
    if finished:
        ipvs.tcp.timeouts[TcpState.FIN_WAIT] = float(finished)
    if datagram:
        ipvs.udp.timeouts[NORMAL] = float(datagram)
