"""Names: a server in the form of CoreDNS's plugins, and what its clients (dig, host, nslookup, getent) share."""
