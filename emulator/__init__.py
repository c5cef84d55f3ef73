"""Podwire: a Kubernetes cluster's network in user space, packet by packet, each node a process of its own."""

__version__ = "0.1.0"
