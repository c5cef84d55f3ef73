"""The control protocol under trio, over Unix sockets or memory: how processes, commands and users talk."""
