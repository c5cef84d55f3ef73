"""The matches that rules may use, by name, and where each lies."""

from emulator.kernel.netfilter.extensions import Extensions
from emulator.kernel.netfilter.match.base import Match

MATCHES: Extensions[Match] = Extensions(
    __name__,
    {
        "addrtype": ("addrtype", "Addrtype"),
        "comment": ("comment", "Comment"),
        "connmark": ("connmark", "Connmark"),
        "conntrack": ("conntrack", "Conntrack"),
        "hashlimit": ("hashlimit", "Hashlimit"),
        "icmp": ("icmp", "Icmp"),
        "iprange": ("iprange", "Iprange"),
        "ipvs": ("ipvs", "Ipvs"),
        "length": ("length", "Length"),
        "limit": ("limit", "Limit"),
        "mac": ("mac", "Mac"),
        "mark": ("mark", "Mark"),
        "multiport": ("multiport", "Multiport"),
        "physdev": ("physdev", "Physdev"),
        "pkttype": ("pkttype", "Pkttype"),
        "recent": ("recent", "Recent"),
        "rpfilter": ("rpfilter", "Rpfilter"),
        "sctp": ("sctp", "Sctp"),
        "set": ("set", "Set"),
        "state": ("state", "State"),
        "statistic": ("statistic", "Statistic"),
        "tcp": ("tcp", "Tcp"),
        "tcpmss": ("tcpmss", "Tcpmss"),
        "ttl": ("ttl", "Ttl"),
        "udp": ("udp", "Udp"),
    },
)
