"""Connection tracking: the table, its entries, and what each protocol makes of a packet (nf_conntrack_*.c)."""
