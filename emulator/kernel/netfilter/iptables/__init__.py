"""iptables: tables of chains and rules, packets' walk through them, and the texts of its tools."""
