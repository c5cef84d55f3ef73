"""What connection tracking counts of itself, as `conntrack -S` shows it (`struct ip_conntrack_stat`)."""

from __future__ import annotations


class Statistics:
    """One processor's counters, since a machine of ours has one; the names are those that `conntrack -S` prints."""

    __slots__ = (
        "chaintoolong",
        "clash_resolve",
        "drop",
        "early_drop",
        "error",
        "found",
        "insert",
        "insert_failed",
        "invalid",
        "search_restart",
    )

    def __init__(self) -> None:
        self.found = 0  # a tuple that NAT wanted was taken
        self.invalid = 0  # packets that belong to no connection
        self.insert = 0  # entries that `conntrack -I` made; those of packets are not counted
        self.insert_failed = 0  # entries whose tuples another one had when they were to be confirmed
        self.drop = 0  # packets dropped: table full, clash at confirmation, refused by a protocol
        self.early_drop = 0  # entries that were ended to make room
        self.error = 0  # ICMP errors, and packets so broken that their protocol was not asked
        self.search_restart = 0  # a lookup that ended in another chain; cannot happen here
        self.clash_resolve = 0  # a packet that took the entry of one confirmed at the same time
        self.chaintoolong = 0  # an insertion into too full a chain; cannot happen here
