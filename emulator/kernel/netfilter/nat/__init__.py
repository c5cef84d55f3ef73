"""NAT: what a connection's packets are rewritten to, chosen with its first one (nf_nat_core.c, nf_nat_proto.c)."""
