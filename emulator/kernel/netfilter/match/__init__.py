"""The matches that rules may use, by name. Importing one here is what registers it."""

from collections.abc import Mapping
from types import MappingProxyType

from emulator.kernel.netfilter.match.addrtype import Addrtype
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.match.comment import Comment
from emulator.kernel.netfilter.match.connmark import Connmark
from emulator.kernel.netfilter.match.conntrack import Conntrack
from emulator.kernel.netfilter.match.hashlimit import Hashlimit
from emulator.kernel.netfilter.match.icmp import Icmp
from emulator.kernel.netfilter.match.iprange import Iprange
from emulator.kernel.netfilter.match.ipvs import Ipvs
from emulator.kernel.netfilter.match.length import Length
from emulator.kernel.netfilter.match.limit import Limit
from emulator.kernel.netfilter.match.mac import Mac
from emulator.kernel.netfilter.match.mark import Mark
from emulator.kernel.netfilter.match.multiport import Multiport
from emulator.kernel.netfilter.match.physdev import Physdev
from emulator.kernel.netfilter.match.pkttype import Pkttype
from emulator.kernel.netfilter.match.recent import Recent
from emulator.kernel.netfilter.match.rpfilter import Rpfilter
from emulator.kernel.netfilter.match.sctp import Sctp
from emulator.kernel.netfilter.match.set import Set
from emulator.kernel.netfilter.match.state import State
from emulator.kernel.netfilter.match.statistic import Statistic
from emulator.kernel.netfilter.match.tcp import Tcp
from emulator.kernel.netfilter.match.tcpmss import Tcpmss
from emulator.kernel.netfilter.match.ttl import Ttl
from emulator.kernel.netfilter.match.udp import Udp

MATCHES: Mapping[str, type[Match]] = MappingProxyType(
    {
        match.name: match
        for match in (
            Addrtype,
            Comment,
            Connmark,
            Conntrack,
            Hashlimit,
            Icmp,
            Iprange,
            Ipvs,
            Length,
            Limit,
            Mac,
            Mark,
            Multiport,
            Physdev,
            Pkttype,
            Recent,
            Rpfilter,
            Sctp,
            Set,
            State,
            Statistic,
            Tcp,
            Tcpmss,
            Ttl,
            Udp,
        )
    }
)
