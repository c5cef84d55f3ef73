"""IPv4 between links and sockets (net/ipv4): input, forwarding, output, fragments, options, and ICMP."""
