"""Where packets begin and end: the sockets of a namespace, what all of them have, and those of UDP and ICMP echo."""
