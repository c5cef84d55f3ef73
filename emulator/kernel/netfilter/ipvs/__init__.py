"""IPVS, the kernel's own load balancer (net/netfilter/ipvs): services, real servers, schedulers, connections."""
