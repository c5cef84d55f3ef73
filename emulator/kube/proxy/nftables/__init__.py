"""kube-proxy's nftables mode."""
