"""Sockets of emulated namespaces for trio, and the looking up of names."""
