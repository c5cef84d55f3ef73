"""The Python API: clusters to start, attach to, change and drive from tests and scripts."""
