"""The command line: each command a module of its own, imported only when it is used."""
