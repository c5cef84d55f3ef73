"""`emulator proxy`: kube-proxy's rules, without a cluster or in the one that runs."""
