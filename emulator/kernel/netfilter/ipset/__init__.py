"""Sets of addresses, ports and networks that rules match against (net/netfilter/ipset), one file a set type."""
