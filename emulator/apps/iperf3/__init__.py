"""iperf3 3.12: client and server speak its control protocol and measure with real bytes and packets."""
