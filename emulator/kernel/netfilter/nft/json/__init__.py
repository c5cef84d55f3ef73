"""The JSON of libnftables, both ways: read as words of a script, written from the tables."""
