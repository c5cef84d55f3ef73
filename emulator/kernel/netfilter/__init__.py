"""Netfilter: what looks at IPv4 packets at five hooks (iptables' tables, connection tracking, NAT), as Linux has it."""
