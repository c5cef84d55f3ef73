"""Where flows go on a node by kube-proxy's rules, without a cluster: `emulator proxy render` and `check`."""
