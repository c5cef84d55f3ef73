"""Bytes to header values and back, for every protocol that crosses the wire: one file a protocol, no I/O, no clock."""
