"""`emulator tui`: a view of a running cluster over its control sockets; it ends without touching the cluster."""
