"""ipvsadm 1.31: the virtual services of a namespace, their real servers and connections."""

from __future__ import annotations

import trio

from emulator.apps.environment import Input, Invocation
from emulator.kernel.netfilter.ipvs.command import change, split
from emulator.kernel.netfilter.ipvs.command_line import Command, parse
from emulator.kernel.netfilter.ipvs.engine import Ipvs
from emulator.kernel.netfilter.ipvs.error import USAGE, IpvsError
from emulator.kernel.netfilter.ipvs.listing import VERSION as IPVS_VERSION
from emulator.kernel.netfilter.ipvs.listing import Listing
from emulator.kernel.netfilter.ipvs.scheduler import SCHEDULERS

VERSION = "ipvsadm v1.31 2019/12/24"
_USAGE = """Usage:
  ipvsadm -A|E SERVICE [-s SCHEDULER] [-b FLAGS] [-p [SECONDS]] [-M NETMASK] [-o]
  ipvsadm -D SERVICE
  ipvsadm -C
  ipvsadm -a|e SERVICE -r ADDRESS[:PORT] [-m|-g|-i] [-w WEIGHT] [-x UPPER] [-y LOWER]
  ipvsadm -d SERVICE -r ADDRESS[:PORT]
  ipvsadm -L|l [SERVICE] [-n] [--stats|--rate|--thresholds|--persistent-conn] [-X] [--nosort]
  ipvsadm -L|l -c|--timeout [-n]
  ipvsadm -Z [SERVICE]
  ipvsadm --set TCP TCPFIN UDP
  ipvsadm -R
  ipvsadm -S [-n]

SERVICE is -t ADDRESS[:PORT], -u ADDRESS[:PORT], --sctp-service ADDRESS[:PORT] or -f FWMARK.
Schedulers: {schedulers}; the default is wlc. Flags: sh-fallback, sh-port, mh-fallback, mh-port.
Without -m a real server gets packets as they are (-g), and needs the service's address itself.
"""
_CONFLICTS = (
    ({"connection", "timeout", "daemon"}, {"stats", "rate", "thresholds"}),
    ({"timeout", "daemon"}, {"persistent-conn"}),
)


async def main(invocation: Invocation) -> int:
    """Run one command, or with -R those of standard input. Exit status 0; 2 a wrong command line; 255 refused."""
    await trio.lowlevel.checkpoint()
    ipvs = invocation.network.netns.netfilter.ipvs
    words = list(invocation.argv[1:])
    if not words:
        invocation.write(Listing(ipvs).all())
        return 0
    try:
        command = parse(words)
        if command.name == "restore":
            return await _restore(invocation, ipvs)
        _run(invocation, ipvs, command)
    except IpvsError as error:
        invocation.write_error(f"{error}\n")
        return error.status
    return 0


def _run(invocation: Invocation, ipvs: Ipvs, command: Command) -> None:
    name = command.name
    if name in ("help", "version"):
        invocation.write(f"{VERSION} (compiled with popt and IPVS v{IPVS_VERSION})\n")
        if name == "help":
            invocation.write(_USAGE.format(schedulers=", ".join(SCHEDULERS)))
    elif name == "list":
        invocation.write(_list(ipvs, command))
    elif name == "save":
        invocation.write(Listing(ipvs, command.said).save())
    else:
        change(ipvs, command)


def _list(ipvs: Ipvs, command: Command) -> str:
    said = command.said
    if any(said & some and said & others for some, others in _CONFLICTS):
        raise IpvsError("options conflicts in the list command", USAGE)
    listing = Listing(ipvs, said)
    if "connection" in said:
        return listing.connections()
    if command.key is not None:
        return listing.one(command.key)
    if "timeout" in said:
        return listing.timeouts()
    return "" if "daemon" in said else listing.all()


async def _restore(invocation: Invocation, ipvs: Ipvs) -> int:
    """Carry out the lines of standard input. What the kernel refuses is told and passed over; a wrong line ends it."""
    status = 0
    for line in (await _text(invocation.stdin)).splitlines():
        words = split(line)
        if not words:
            continue
        try:
            _run(invocation, ipvs, parse(words))
            status = 0
        except IpvsError as error:
            invocation.write_error(f"{error}\n")
            status = error.status
            if status == USAGE:
                return status
    return status


async def _text(stdin: Input) -> str:
    parts: list[bytes] = []
    while data := await stdin.read():
        parts.append(data)
    return b"".join(parts).decode("utf-8", "replace")
