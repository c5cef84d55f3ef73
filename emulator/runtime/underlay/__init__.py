"""What carries frames from node to node: UDP datagrams, or memory in a simulated cluster."""
