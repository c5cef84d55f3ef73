"""What lies outside the nodes: the node network's gateway, the emulated internet, and hosts on both."""
