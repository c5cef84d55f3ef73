"""What the process of a machine has, a node as well as what is outside: its kernel under trio, and its services."""
