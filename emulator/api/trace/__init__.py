"""The steps of a traced packet, told to people."""
