"""The five places where netfilter sees a packet, the order in which its parts look, and what they may answer.

Numbers and priorities are those of include/uapi/linux/netfilter.h and netfilter_ipv4.h.
"""

import enum
from typing import Final


class Hook(enum.IntEnum):
    """A place in a packet's way through a namespace."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class Verdict(enum.Enum):
    """What happens next to a packet that a hook looked at."""

    ACCEPT = "accept"
    DROP = "drop"  # already counted and traced by whoever said so
    STOLEN = "stolen"  # kept by the hook (a fragment that waits for the others)
    BYPASS = "bypass"  # of NFQUEUE: the next part of the hook looks, as if this one had seen nothing (nf_queue.c)


# The members that every packet's way asks for, by their names in C: CPython 3.11 takes ten times as long (0.1 µs) to
# find a member through its class, and a packet's way has a hundred such places.
NF_INET_PRE_ROUTING: Final = Hook.PREROUTING
NF_INET_LOCAL_IN: Final = Hook.INPUT
NF_INET_FORWARD: Final = Hook.FORWARD
NF_INET_LOCAL_OUT: Final = Hook.OUTPUT
NF_INET_POST_ROUTING: Final = Hook.POSTROUTING
NF_ACCEPT: Final = Verdict.ACCEPT
NF_DROP: Final = Verdict.DROP


class Priority(enum.IntEnum):
    """Who looks first at one hook; lower comes first (`enum nf_ip_hook_priorities`)."""

    CONNTRACK_DEFRAG = -400
    RAW = -300
    CONNTRACK = -200
    MANGLE = -150
    NAT_DST = -100
    FILTER = 0
    NAT_SRC = 100
    SECURITY = 150  # where iptables-nft puts it; the kernel's own number, and iptables-legacy's, is 50
    CONNTRACK_HELPER = 300
    CONNTRACK_CONFIRM = 2**31 - 1
