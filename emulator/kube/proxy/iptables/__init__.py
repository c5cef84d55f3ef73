"""kube-proxy's iptables mode."""
