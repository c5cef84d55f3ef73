"""iptables 1.8.9: shows and changes the rules of a namespace, one command at a time."""

from __future__ import annotations

import trio

from emulator.apps.commands.iptables_error import VERSION, told
from emulator.apps.environment import Invocation
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.iptables.command import iptables

USAGE = """Usage: iptables [-t TABLE] -[ACD] CHAIN RULE
       iptables [-t TABLE] -I CHAIN [NUMBER] RULE
       iptables [-t TABLE] -R CHAIN NUMBER RULE
       iptables [-t TABLE] -D CHAIN NUMBER
       iptables [-t TABLE] -[LS] [CHAIN [NUMBER]] [-n] [-v] [-x] [--line-numbers]
       iptables [-t TABLE] -[FZ] [CHAIN]
       iptables [-t TABLE] -[NX] CHAIN
       iptables [-t TABLE] -E OLD-CHAIN NEW-CHAIN
       iptables [-t TABLE] -P CHAIN POLICY

On a node, kube-proxy writes its own chains (KUBE-*) again when Services or endpoints change.
"""


async def main(invocation: Invocation) -> int:
    """Run one command. Exit status 0; 1 what the kernel refuses, 2 a wrong command line, 3 an unknown table."""
    await trio.lowlevel.checkpoint()
    words = invocation.argv[1:]
    if words and words[0] in ("-h", "--help"):
        invocation.write(f"iptables {VERSION}\n\n{USAGE}")
        return 0
    if words and words[0] in ("-V", "--version"):
        invocation.write(f"iptables {VERSION}\n")
        return 0
    try:
        invocation.write(iptables(invocation.network.netns.netfilter, words))
    except RuleError as error:
        text, status = told(error)
        invocation.write_error(text)
        return status
    return 0
