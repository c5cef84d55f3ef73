"""kube-proxy's IPVS mode."""
