"""Kubernetes objects as typed values, what users write, and the control protocol; sans-I/O."""
