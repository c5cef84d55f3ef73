"""Why a packet went no further: each drop in the stack names one of these and is counted by its netns.

Names are those of Linux's `enum skb_drop_reason` (include/net/dropreason-core.h) where Linux has one.
"""

import enum


class DropReason(enum.Enum):
    """A named reason; the value is what a user reads beside the name."""

    # Link and bridge
    DEV_READY = "the link is down"
    DEV_HDR = "the frame is shorter than an Ethernet header"
    MAC_INVALID_SOURCE = "the source MAC is zero or a group"
    MAC_CONTROL = "an IEEE MAC control frame, which bridges do not pass on"
    OTHERHOST = "the frame is for another station"
    UNHANDLED_PROTO = "no handler for this ethertype"
    BRIDGE_NO_PORT = "the bridge has no port to forward to"
    FULL_RING = "the transmit queue is full"
    CPU_BACKLOG = "the machine's backlog is full"
    PKT_TOO_SMALL = "the packet is cut short"
    HOP_LIMIT = "the frame crossed too many links; a loop"
    # IPv4
    IP_INHDR = "the IPv4 header is malformed"
    IP_CSUM = "the IPv4 header checksum is wrong"
    IP_NOPROTO = "no handler for this IP protocol"
    IP_OUTNOROUTES = "no route to the destination"
    IP_INNOROUTES = "no route for this packet"
    IP_RPFILTER = "rp_filter: the way back is through another link"
    IP_INVALID_SOURCE = "martian source"
    IP_INVALID_DEST = "martian destination"
    IP_LOCAL_SOURCE = "the source is one of this machine's own addresses"
    IP_LOCALNET = "a loopback address came in from a link (route_localnet is off)"
    IP_TTL_EXPIRED = "the TTL ran out"
    IP_FORWARDING_OFF = "net.ipv4.ip_forward is 0"
    IP_ROUTE_BLACKHOLE = "the route is a blackhole"
    IP_ROUTE_UNREACHABLE = "the route says unreachable"
    IP_ROUTE_PROHIBIT = "the route says prohibit"
    IP_RULE_BLACKHOLE = "the policy rule is a blackhole"
    IP_RULE_UNREACHABLE = "the policy rule says unreachable"
    IP_RULE_PROHIBIT = "the policy rule says prohibit"
    IP_SOURCE_ROUTE = "source routing is not accepted"
    PKT_TOO_BIG = "larger than the MTU and may not be fragmented"
    DUP_FRAG = "overlapping fragment"
    FRAG_REASM_TIMEOUT = "not all fragments came in time"
    FRAG_TOO_FAR = "the reassembly memory is full"
    # Neighbours
    NEIGH_FAILED = "no answer to ARP"
    NEIGH_QUEUEFULL = "too many packets wait for ARP"
    NEIGH_CREATEFAIL = "the neighbour table is full"
    # Netfilter
    NETFILTER_DROP = "a rule dropped it"
    NETFILTER_REJECT = "a rule rejected it"
    CONNTRACK_FULL = "the conntrack table is full"
    CONNTRACK_CLASH = "another packet confirmed the same connection first"
    CONNTRACK_REFUSED = "connection tracking refused it"
    NAT_EXHAUSTED = "no free port is left for this NAT"
    # Local delivery
    NO_SOCKET = "no socket listens there"
    SOCKET_RCVBUFF = "the socket's receive buffer is full"
    UDP_CSUM = "the UDP checksum is wrong"
    TCP_CSUM = "the TCP checksum is wrong"
    ICMP_IGNORED = "an ICMP message that is not answered"
    ICMP_CSUM = "the ICMP checksum is wrong"
    TCP_FLAGS = "TCP flags that no state takes"
    TCP_OLD_DATA = "TCP data that was received before"
    TCP_OVERWINDOW = "TCP data beyond the window"
    TCP_INVALID_SEQUENCE = "TCP sequence number out of the window"
    TCP_INVALID_SYN = "TCP SYN inside a connection"
    TCP_TOO_OLD_ACK = "TCP acknowledgement too old"
    TCP_ACK_UNSENT_DATA = "TCP acknowledgement of data never sent"
    TCP_LISTEN_OVERFLOW = "the listener's backlog is full"
    INVALID_PROTO = "a malformed transport header"
